// 10. Combining declarations, and slots that a bus takes no part in. (tests/compile_fail has what must not compile.)

#include "parity.hpp"

namespace cluster_channel::parity {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct more_events {
  slot<int, int> thrice;
  slot<std::string> shriek{{.no_buffer = true}};
};
BOOST_DESCRIBE_STRUCT(more_events, (), (thrice, shriek))

struct still_more_events {
  slot<int, int> halve;
};
BOOST_DESCRIBE_STRUCT(still_more_events, (), (halve))

using all_events = combined_events<events, more_events, still_more_events>;

TEST(Parity10Combining, ABusHasTheSlotsOfAllItsDeclarations) {
  const event_bus<all_events> bus;
  bus.twice.on([](int x) { return 2 * x; });
  bus.thrice.on([](int x) { return 3 * x; });
  bus.halve.on([](int x) { return x / 2; });
  EXPECT_EQ(outcome(bus.twice(4)), "8");
  EXPECT_EQ(outcome(bus.thrice(4)), "12");
  EXPECT_EQ(outcome(bus.halve(4)), "2");
}

TEST(Parity10Combining, KeepsTheOptionsOfEachSlot) {
  wire line;
  const event_bus<all_events> bus{line};
  EXPECT_EQ(outcome(bus.shriek("x")), "channel_not_ready: CHANNEL_NOT_READY on shriek");
  EXPECT_EQ(outcome(bus.thrice(1)), "pending");
}

TEST(Parity10Combining, AFarEndNeedsOnlyTheSlotsThatItUses) {
  virtual_time x;
  local_channel_pair link{x.system};
  const event_bus<all_events> here{x.options({&link.first()})};
  const event_bus<more_events> there{x.options({&link.second()})};
  there.thrice.on([](int y) { return 3 * y; });
  auto call = here.thrice(2);
  x.run();
  EXPECT_EQ(outcome(call), "6");
}

TEST(Parity10Combining, APartOfTheDeclarationsIsABusForFunctionsThatKnowNoMore) {
  const event_bus<all_events> bus;
  const auto register_thrice = [](const more_events& part) { part.thrice.on([](int x) { return 3 * x; }); };
  register_thrice(bus);
  EXPECT_EQ(outcome(bus.thrice(5)), "15");
}

// -- ignored at run time ------------------------------------------------------

TEST(Parity10Ignored, ASlotCanNeitherBeCalledNorHandled) {
  const bus_type bus{{.ignored_events = {"twice"}}};
  const std::string why = "event_ignored: slot twice is ignored on this event_bus: it cannot be called there";
  EXPECT_EQ(outcome(bus.twice(1)), why);
  EXPECT_EQ(outcome(bus.twice.all(1)), why);
  EXPECT_EQ(outcome(bus.twice.broadcast(1)), why);
  EXPECT_THROW(bus.twice.on([](int x) { return x; }), std::logic_error);
}

TEST(Parity10Ignored, OtherSlotsAreNotTouched) {
  const bus_type bus{{.ignored_events = {"twice"}}};
  bus.now.on([](int x) { return x; });
  EXPECT_EQ(outcome(bus.now(1)), "1");
}

TEST(Parity10Ignored, TheFarEndDoesNotWaitForThisOne) {
  virtual_time x;
  local_channel_pair link{x.system};
  auto options = x.options({&link.second()});
  options.ignored_events = {"note"};
  const bus_type here{x.options({&link.first()})};
  const bus_type there{std::move(options)};
  std::vector<std::string> seen;
  here.note.on([&](const std::string& text) { seen.push_back(text); });
  auto call = here.note("x");
  x.run();
  EXPECT_EQ(outcome(call), "done");
  EXPECT_THAT(seen, ElementsAre("x"));
}

TEST(Parity10Ignored, ACallToTheOnlyFarEndThatIgnoresItFailsInsteadOfWaiting) {
  virtual_time x;
  local_channel_pair link{x.system};
  auto options = x.options({&link.second()});
  options.ignored_events = {"twice"};
  const bus_type here{x.options({&link.first()})};
  const bus_type there{std::move(options)};
  auto call = here.twice(1);
  x.run();
  EXPECT_EQ(outcome(call), "no_handler: no handler for slot twice with param $_DEFAULT_$: no far end takes part in it");
}

TEST(Parity10Ignored, ANameThatIsNoSlotIsRefused) {
  try {
    const bus_type bus{{.ignored_events = {"triple"}}};
    FAIL() << "the bus was made";
  } catch (const std::invalid_argument& ex) {
    EXPECT_THAT(ex.what(), HasSubstr("ignored_events names triple, which is no slot"));
  }
}

TEST(Parity10Ignored, WithoutIgnoredSlotsNoListIsSent) {
  wire line;
  const bus_type bus{line};
  line.connected();
  EXPECT_THAT(line.said(), ElementsAre("hello"));
}

TEST(Parity10Ignored, AWholeDeclarationIsIgnoredByTypeAndTheFarEndTold) {
  wire line;
  const event_bus<combined_events<still_more_events, more_events>, ignoring<more_events>> bus{line};
  line.connected();
  EXPECT_THAT(line.said(), ElementsAre("hello", "ignored { \"thrice\", \"shriek\" }"));
  static_assert(!std::is_base_of_v<more_events, decltype(bus)>);
  bus.halve.on([](int x) { return x / 2; });
  EXPECT_THAT(line.said(), ElementsAre("registered halve"));
}

} // namespace

} // namespace cluster_channel::parity
