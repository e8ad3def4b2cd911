// 5. Lazy: told when a parameter gets its first handler, here or at a far end, and when it loses its last one.

#include "parity.hpp"
#include <optional>

namespace cluster_channel::parity {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

/// Notes what its callbacks are told, as "+param" and "-param".
struct listener {
  lazy_callback connect = [this](const std::string& param) { seen.push_back("+" + short_name(param)); };
  lazy_callback disconnect = [this](const std::string& param) { seen.push_back("-" + short_name(param)); };

  static std::string short_name(const std::string& param) { return param == default_param ? "" : param; }

  unsubscribe at(const bus_type& bus) { return bus.twice.lazy(connect, disconnect); }

  std::vector<std::string> seen;
};

TEST(Parity05Lazy, ConnectsWithTheFirstLocalHandlerAndDisconnectsWithTheLast) {
  const bus_type bus;
  listener x;
  x.at(bus);
  EXPECT_THAT(x.seen, IsEmpty());
  const auto first = bus.twice.on(same);
  const auto second = bus.twice.on(same);
  EXPECT_THAT(x.seen, ElementsAre("+"));
  first();
  EXPECT_THAT(x.seen, ElementsAre("+"));
  second();
  EXPECT_THAT(x.seen, ElementsAre("+", "-"));
}

TEST(Parity05Lazy, TellsParametersApart) {
  const bus_type bus;
  listener x;
  x.at(bus);
  const auto a = bus.twice.on({"a"}, same);
  bus.twice.on({"b"}, same);
  a();
  EXPECT_THAT(x.seen, ElementsAre("+a", "+b", "-a"));
}

TEST(Parity05Lazy, ConnectsAtOnceForHandlersThatAreThere) {
  const bus_type bus;
  bus.twice.on({"b"}, same);
  bus.twice.on({"a"}, same);
  listener x;
  x.at(bus);
  EXPECT_THAT(x.seen, UnorderedElementsAre("+a", "+b"));
}

TEST(Parity05Lazy, HearsNothingOfOtherSlots) {
  const bus_type bus;
  listener x;
  x.at(bus);
  bus.now.on(same);
  EXPECT_THAT(x.seen, IsEmpty());
}

TEST(Parity05Lazy, ConnectsWithAHandlerOfTheFarEndAndDisconnectsWhenItGoes) {
  two_ends x;
  listener lazy;
  lazy.at(x.here);
  const auto gone = x.there.twice.on({"a"}, same);
  x.run();
  EXPECT_THAT(lazy.seen, ElementsAre("+a"));
  gone();
  x.run();
  EXPECT_THAT(lazy.seen, ElementsAre("+a", "-a"));
}

TEST(Parity05Lazy, ConnectsAtOnceForHandlersOfTheFarEnd) {
  two_ends x;
  x.there.twice.on(same);
  x.run();
  listener lazy;
  lazy.at(x.here);
  EXPECT_THAT(lazy.seen, ElementsAre("+"));
}

TEST(Parity05Lazy, CountsHandlersHereAndAtEveryFarEndTogether) {
  three_ends x;
  listener lazy;
  lazy.at(x.here);
  const auto local = x.here.twice.on(same);
  const auto one = x.one.twice.on(same);
  const auto two = x.two.twice.on(same);
  x.run();
  EXPECT_THAT(lazy.seen, ElementsAre("+"));
  local();
  one();
  x.run();
  EXPECT_THAT(lazy.seen, ElementsAre("+"));
  two();
  x.run();
  EXPECT_THAT(lazy.seen, ElementsAre("+", "-"));
}

TEST(Parity05Lazy, AFarEndThatDisconnectsTakesItsHandlersAlong) {
  two_ends x;
  listener lazy;
  lazy.at(x.here);
  x.there.twice.on({"a"}, same);
  x.there.twice.on({"b"}, same);
  x.here.twice.on({"b"}, same);
  x.run();
  lazy.seen.clear();
  x.link.disconnect();
  x.run();
  EXPECT_THAT(lazy.seen, ElementsAre("-a"));
  x.link.connect();
  x.run();
  EXPECT_THAT(lazy.seen, ElementsAre("-a", "+a"));
}

TEST(Parity05Lazy, SeveralAreAllTold) {
  const bus_type bus;
  listener x;
  listener y;
  x.at(bus);
  const auto gone = bus.twice.on(same);
  y.at(bus);
  gone();
  EXPECT_THAT(x.seen, ElementsAre("+", "-"));
  EXPECT_THAT(y.seen, ElementsAre("+", "-"));
}

TEST(Parity05Lazy, CancellingCallsItsOwnDisconnectForTheParametersStillInUse) {
  const bus_type bus;
  listener x;
  listener y;
  const auto cancel = x.at(bus);
  y.at(bus);
  bus.twice.on({"a"}, same);
  bus.twice.on({"b"}, same);
  bus.twice.on({"c"}, same)();
  x.seen.clear();
  y.seen.clear();
  cancel();
  EXPECT_THAT(x.seen, UnorderedElementsAre("-a", "-b"));
  EXPECT_THAT(y.seen, IsEmpty());
}

TEST(Parity05Lazy, OneThatIsCancelledHearsNothingMore) {
  const bus_type bus;
  listener x;
  listener y;
  const auto cancel = x.at(bus);
  y.at(bus);
  cancel();
  cancel();
  bus.twice.on(same);
  EXPECT_THAT(x.seen, IsEmpty());
  EXPECT_THAT(y.seen, ElementsAre("+"));
}

TEST(Parity05Lazy, TwoWithTheSameCallbacksAreTwo) {
  const bus_type bus;
  listener x;
  const auto first = x.at(bus);
  x.at(bus);
  first();
  bus.twice.on(same);
  EXPECT_THAT(x.seen, ElementsAre("+"));
}

TEST(Parity05Lazy, ConnectMayCallTheSlotThatJustGotItsHandler) {
  const bus_type bus;
  std::string answer;
  bus.twice.lazy([&](const std::string&) { answer = outcome(bus.twice(4)); }, [](const std::string&) {});
  bus.twice.on([](int x) { return 2 * x; });
  EXPECT_EQ(answer, "8");
}

TEST(Parity05Lazy, ConnectComesBeforeTheCallsThatWaited) {
  two_ends x;
  std::vector<std::string> seen;
  x.here.note.lazy([&](const std::string&) { seen.emplace_back("connect"); }, [](const std::string&) {});
  static_cast<void>(x.here.note("x"));
  x.there.note.on([&](const std::string&) { seen.emplace_back("call"); });
  x.run();
  EXPECT_THAT(seen, ElementsAre("connect", "call"));
}

TEST(Parity05Lazy, CallbacksMayRegisterAndCancel) {
  const bus_type bus;
  std::vector<std::string> seen;
  std::optional<unsubscribe> handler;
  unsubscribe cancel;
  cancel = bus.twice.lazy(
      [&](const std::string& param) {
        seen.push_back("+" + param);
        if (param == "a")
          handler = bus.twice.on({"b"}, same);
        else
          cancel();
      },
      [&](const std::string& param) { seen.push_back("-" + param); });
  bus.twice.on({"a"}, same);
  EXPECT_THAT(seen, ElementsAre("+a", "+b", "-a", "-b"));
}

TEST(Parity05Lazy, AFarEndThatIgnoresTheSlotHasNoHandlersOfIt) {
  wire deaf;
  deaf.connected();
  const bus_type bus{deaf};
  listener x;
  x.at(bus);
  deaf.registers("twice");
  EXPECT_THAT(x.seen, ElementsAre("+"));
  deaf.message_received(event_list{{"twice"}});
  EXPECT_THAT(x.seen, ElementsAre("+", "-"));
}

TEST(Parity05Lazy, APoolIsConnectedFromItsFirstNodesHandlerOnAndStaysSoWhenNodesDie) {
  test::pool<events> pool{{.nodes = 2}};
  listener x;
  x.at(pool.bus());
  pool.child().twice.on(same);
  EXPECT_THAT(x.seen, IsEmpty()) << "no node has started yet";
  static_cast<void>(pool.bus().twice(1));
  pool.run();
  EXPECT_THAT(x.seen, ElementsAre("+"));
  pool.end_node(1, {true, SIGKILL});
  pool.run();
  EXPECT_THAT(x.seen, ElementsAre("+"));
}

} // namespace

} // namespace cluster_channel::parity
