#include <cluster_channel/actors/kept_calls.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cluster_channel {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using verdict = kept_calls::verdict;

request call_of(call_id id, const std::string& slot, const std::string& param = default_param) {
  return {id, slot, param, {}};
}

std::vector<call_id> ids(const std::deque<request>& calls) {
  std::vector<call_id> result;
  for (const auto& call : calls)
    result.push_back(call.id);
  return result;
}

TEST(KeptCalls, ACallWaitsForItsHandlerUntilTheChildHadItsTime) {
  kept_calls kept;
  EXPECT_EQ(kept.look_at(call_of(1, "a")), verdict::waits);
  kept.stop_waiting();
  EXPECT_EQ(kept.look_at(call_of(1, "a")), verdict::no_handler);
}

TEST(KeptCalls, AHandlerIsForItsSlotAndParameterAlone) {
  kept_calls kept;
  kept.learn(handler_registered{"a", "p"});
  EXPECT_EQ(kept.look_at(call_of(1, "a", "p")), verdict::goes);
  EXPECT_EQ(kept.look_at(call_of(1, "a")), verdict::waits);
  EXPECT_EQ(kept.look_at(call_of(1, "b", "p")), verdict::waits);
  kept.learn(handler_unregistered{"a", "p"});
  EXPECT_EQ(kept.look_at(call_of(1, "a", "p")), verdict::waits);
}

TEST(KeptCalls, AnIgnoredSlotIsNotWaitedFor) {
  kept_calls kept;
  kept.learn(event_list{{"a"}});
  EXPECT_EQ(kept.look_at(call_of(1, "a")), verdict::ignored);
  EXPECT_EQ(kept.look_at(call_of(1, "b")), verdict::waits);
}

TEST(KeptCalls, TakesOutWhatIsDecidedInTheOrderInWhichItCame) {
  kept_calls kept;
  for (const auto& [id, slot] : {std::pair{1, "a"}, {2, "b"}, {3, "c"}, {4, "a"}, {5, "b"}})
    kept.keep(call_of(static_cast<call_id>(id), slot));
  EXPECT_THAT(ids(kept.take_decided()), IsEmpty());
  kept.learn(handler_registered{"a", default_param});
  EXPECT_THAT(ids(kept.take_decided()), ElementsAre(1, 4));
  kept.learn(event_list{{"c"}});
  EXPECT_THAT(ids(kept.take_decided()), ElementsAre(3));
  kept.stop_waiting();
  EXPECT_THAT(ids(kept.take_decided()), ElementsAre(2, 5));
  EXPECT_THAT(ids(kept.take_decided()), IsEmpty());
}

} // namespace

} // namespace cluster_channel
