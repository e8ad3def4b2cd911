// 6. Requests of the far end call the handlers here and are answered with their own id.

#include "parity.hpp"
#include <stdexcept>

namespace cluster_channel::parity {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class Parity06Requests : public ::testing::Test {
public:
  Parity06Requests() {
    line.connected();
    line.sent.clear();
  }

  template <class T>
  void ask(call_id id, const std::string& slot, const T& data, const std::string& param = default_param) {
    line.message_received(request{id, slot, param, encode(data)});
  }

  /// The only message sent, as "id: words".
  std::string answer() {
    if (line.sent.size() != 1)
      return std::to_string(line.sent.size()) + " messages";
    const auto x = line.sent.front();
    line.sent.clear();
    if (const auto* good = std::get_if<response>(&x))
      return std::to_string(good->id) + ": " + (good->data.empty() ? "done" : in_words(decode<int>(good->data)));
    if (const auto* bad = std::get_if<error_message>(&x))
      return std::to_string(bad->id) + ": " + to_string(bad->what.code) + ": " + bad->what.text;
    return in_words(x);
  }

  wire line;
  bus_type bus{{.channels = {&line}, .ignored_events = {"tick"}}};
};

TEST_F(Parity06Requests, AResponseHasTheIdOfItsRequest) {
  bus.twice.on([](int x) { return 2 * x; });
  line.sent.clear();
  ask(77, "twice", 21);
  EXPECT_EQ(answer(), "77: 42");
}

TEST_F(Parity06Requests, TheAnswerOfAnEventCarriesNothing) {
  bus.note.on([](const std::string&) {});
  line.sent.clear();
  ask(78, "note", std::string{"x"});
  EXPECT_EQ(answer(), "78: done");
}

TEST_F(Parity06Requests, AHandlersFailureIsAnErrorWithTheIdOfItsRequest) {
  bus.twice.on([](int) -> int { throw std::runtime_error("no luck"); });
  line.sent.clear();
  ask(79, "twice", 1);
  EXPECT_EQ(answer(), "79: handler_failed: no luck");
}

TEST_F(Parity06Requests, ARequestWithoutHandlerIsAnsweredAtOnce) {
  ask(80, "twice", 1);
  EXPECT_EQ(answer(), "80: no_handler: no handler for slot twice with param $_DEFAULT_$");
}

TEST_F(Parity06Requests, ARequestForAParameterWithoutHandlerIsAnsweredAtOnce) {
  bus.twice.on([](int x) { return x; });
  line.sent.clear();
  ask(81, "twice", 1, "p");
  EXPECT_EQ(answer(), "81: no_handler: no handler for slot twice with param p");
}

TEST_F(Parity06Requests, TheHandlerOfTheParameterAnswers) {
  bus.twice.on([](int) { return 1; });
  bus.twice.on({"p"}, [](int) { return 2; });
  line.sent.clear();
  ask(82, "twice", 1, "p");
  EXPECT_EQ(answer(), "82: 2");
}

TEST_F(Parity06Requests, ASlotThatIsNotDeclaredIsAnError) {
  ask(83, "triple", 1);
  EXPECT_THAT(answer(), StartsWith("83: no_handler: no slot triple is declared here; declared are twice"));
}

TEST_F(Parity06Requests, ASlotThatIsIgnoredIsAnError) {
  ask(84, "tick", 1);
  EXPECT_EQ(answer(), "84: event_ignored: slot tick is ignored here");
}

TEST_F(Parity06Requests, DataThatDoesNotDecodeIsAnErrorAndRunsNoHandler) {
  bool ran = false;
  bus.note.on([&](const std::string&) { ran = true; });
  line.sent.clear();
  line.message_received(request{85, "note", default_param, bytes{std::byte{1}}});
  EXPECT_THAT(answer(), StartsWith("85: bad_payload: "));
  EXPECT_FALSE(ran);
}

TEST_F(Parity06Requests, AnAnswerMayComeLaterAndOutOfOrder) {
  std::vector<promise<int>> open;
  bus.twice.on([&](int, promise<int> done) { open.push_back(std::move(done)); });
  line.sent.clear();
  ask(1, "twice", 1);
  ask(2, "twice", 2);
  EXPECT_THAT(line.sent, IsEmpty());
  ASSERT_EQ(open.size(), 2U);
  open[1].deliver(20);
  EXPECT_EQ(answer(), "2: 20");
  open[0].deliver(10);
  EXPECT_EQ(answer(), "1: 10");
}

TEST_F(Parity06Requests, SeveralHandlersOfAnEventAnswerOnceWhenAllAreDone) {
  std::vector<promise<void>> open;
  for (int i = 0; i < 2; ++i)
    bus.note.on([&](const std::string&, promise<void> done) { open.push_back(std::move(done)); });
  line.sent.clear();
  ask(86, "note", std::string{"x"});
  ASSERT_EQ(open.size(), 2U);
  open[0].deliver();
  EXPECT_THAT(line.sent, IsEmpty());
  open[1].fail("no luck");
  EXPECT_EQ(answer(), "86: handler_failed: no luck");
}

TEST_F(Parity06Requests, TheFirstFailureOfSeveralHandlersOfAnEventIsTheAnswer) {
  std::vector<promise<void>> open;
  for (int i = 0; i < 3; ++i)
    bus.note.on([&](const std::string&, promise<void> done) { open.push_back(std::move(done)); });
  line.sent.clear();
  ask(86, "note", std::string{"x"});
  ASSERT_EQ(open.size(), 3U);
  open[1].fail("no luck");
  EXPECT_EQ(answer(), "86: handler_failed: no luck");
  line.sent.clear();
  open[0].deliver();
  open[2].fail("too late");
  EXPECT_THAT(line.sent, IsEmpty());
}

TEST_F(Parity06Requests, SeveralHandlersThatWouldAnswerAreAnErrorAndDoNotRun) {
  int runs = 0;
  for (int i = 0; i < 2; ++i)
    bus.twice.on([&](int x) {
      ++runs;
      return x;
    });
  line.sent.clear();
  ask(87, "twice", 1);
  EXPECT_THAT(answer(), StartsWith("87: several_handlers: 2 handlers would answer slot twice"));
  EXPECT_EQ(runs, 0);
}

TEST_F(Parity06Requests, APromiseThatIsDroppedIsAnError) {
  bus.twice.on([](int, const promise<int>&) {});
  line.sent.clear();
  ask(88, "twice", 1);
  EXPECT_EQ(answer(), "88: broken_promise: the handler dropped its promise without answering");
}

TEST_F(Parity06Requests, AHandlerMayAskBackBeforeItAnswers) {
  bus.twice.on(
      [&](int x, promise<int> done) { bus.now(x).on_result([done](caf::expected<int> y) { done.deliver(*y + 1); }); });
  line.registers("now");
  line.sent.clear();
  ask(89, "twice", 1);
  EXPECT_THAT(line.said(), ElementsAre("request now"));
  line.answers(6);
  EXPECT_EQ(answer(), "89: 7");
}

TEST(Parity06RequestsWithoutBus, AreAnsweredWithAnErrorWhetherItIsStillToComeOrGone) {
  wire line;
  line.connected();
  const auto ask = [&] { line.message_received(request{5, "twice", default_param, encode(1)}); };
  ask();
  EXPECT_THAT(line.said(), ElementsAre(HasSubstr("no event_bus is connected yet")));
  std::make_unique<bus_type>(line).reset();
  line.said();
  ask();
  EXPECT_THAT(line.said(), ElementsAre(StartsWith("error ")));
}

} // namespace

} // namespace cluster_channel::parity
