#include <cluster_channel/channels/lazy_list.hpp>

#include <gmock/gmock.h>

#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace cluster_channel::detail {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A list over the parameters in `used`, and what it told.
class lazy_list_test : public testing::Test {
protected:
  void use(const std::string& param) {
    used.insert(param);
    list.update(param);
  }

  void disuse(const std::string& param) {
    used.erase(param);
    list.update(param);
  }

  lazy_list::entry_ptr add() {
    return list.add([this](const std::string& param) { told.push_back("+" + param); },
                    [this](const std::string& param) { told.push_back("-" + param); });
  }

  std::set<std::string> used;
  std::vector<std::string> told;
  int listed = 0; // how often all parameters were asked for
  lazy_list list{[this] {
                   ++listed;
                   return std::vector<std::string>{used.begin(), used.end()};
                 },
                 [this](const std::string& param) { return used.contains(param); }};
};

TEST_F(lazy_list_test, TellsWhatIsUsedAndWhatChanges) {
  use("a");
  const auto entry = add();
  use("b");
  use("b");
  disuse("a");
  list.cancel(entry);
  use("c");
  EXPECT_THAT(told, ElementsAre("+a", "+b", "-a", "-b"));
  EXPECT_TRUE(list.empty());
}

TEST_F(lazy_list_test, ListsAllParametersOnlyForNewCallbacks) {
  add();
  for (int i = 0; i < 100; ++i)
    use(std::to_string(i));
  disuse("7");
  EXPECT_EQ(listed, 1);
  EXPECT_EQ(told.size(), 101U);
}

TEST_F(lazy_list_test, LeavesTheEndToAThreadInsideACallback) {
  std::promise<void> inside, cancelled;
  const auto entry = list.add(
      [&](const std::string&) {
        inside.set_value();
        cancelled.get_future().wait();
      },
      [this](const std::string& param) { told.push_back("-" + param); });
  std::thread other{[this] { use("a"); }};
  inside.get_future().wait();
  list.cancel(entry);
  EXPECT_THAT(told, IsEmpty());
  cancelled.set_value();
  other.join();
  EXPECT_THAT(told, ElementsAre("-a"));
}

} // namespace
} // namespace cluster_channel::detail
