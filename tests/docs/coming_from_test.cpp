// Builds and runs the code of docs/coming-from-ts-event-bus.md: each table is included where its lines belong.

#include <cluster_channel/actors/actor_system_config.hpp>
#include <cluster_channel/actors/hello.hpp>
#include <cluster_channel/channels/child_channel.hpp>
#include <cluster_channel/channels/chunked_channel.hpp>
#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/local_channel.hpp>
#include <cluster_channel/channels/master_channel.hpp>
#include <cluster_channel/serialization/frame.hpp>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <gmock/gmock.h>

#include "block_1.inc" // the declarations
#include <chrono>
#include <cstdio>
#include <deque>
#include <future>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace cluster_channel {
namespace {

struct eager_events {
  slot<void> ping{{.no_buffer = true}};
};
BOOST_DESCRIBE_STRUCT(eager_events, (), (ping))

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::string word_for(const caf::error& error) {
  switch (code_of(error)) {
#include "errors.inc"
  default:
    return "";
  }
}

TEST(ComingFrom, Slots) {
  struct declaration {
#include "slots.inc"
  } one;
  EXPECT_TRUE(one.eager.options().no_buffer);
  EXPECT_FALSE(one.patient.options().auto_reconnect);
  EXPECT_FALSE(one.say.options().no_buffer);
  EXPECT_TRUE(one.say.options().auto_reconnect);
  EXPECT_EQ(one.slow.options().timeout, caf::timespan{1min});
}

TEST(ComingFrom, Buses) {
  actor_system_config config;
  caf::actor_system system{config};
  local_channel_pair to_a{system}, to_b{system}, to_c{system};
  auto& a = to_a.first();
  auto& b = to_b.first();
  auto& c = to_c.first();
#include "buses.inc"
  EXPECT_TRUE((std::is_same_v<declaration, my_events>));
  EXPECT_TRUE((std::is_base_of_v<my_events, decltype(part)::events_type>));
  EXPECT_FALSE((std::is_base_of_v<other_events, decltype(part)::events_type>));
  EXPECT_EQ(both.count.name(), "count");
  EXPECT_EQ(word_for(quiet.ping().get(0s).error()), "ignored");
  EXPECT_EQ(word_for(local.ping().get(0s).error()), "no handler");

  // One far end has a handler, and two wait for both of theirs.
  event_bus<my_events> far_a{to_a.second()}, far_b{to_b.second()}, far_c{to_c.second()};
  far_a.multiply.on([](const rectangle& x) { return x.a * x.b; });
  far_b.multiply.on([](const rectangle& x) { return x.a * x.b; });
  far_c.multiply.on([](const rectangle& x) { return x.a + x.b; });
  EXPECT_EQ(bus.multiply({2, 5}).get(10s), 10);
  EXPECT_THAT(*two.multiply.all({2, 5}).get(10s), ElementsAre(10, 7));
  EXPECT_EQ(word_for(two.multiply({2, 5}).get(10s).error()), "all");
}

TEST(ComingFrom, Handlers) {
  event_bus<my_events> bus;
  std::set<std::string> used;
  {
#include "handlers.inc"
    EXPECT_THAT(used, IsEmpty()); // the last line took them back
  }
  EXPECT_TRUE(bus.ping().get(0s));
  EXPECT_FALSE(bus.ping({.param = {"once"}}).get(0s)); // unsubscribed
  EXPECT_TRUE(bus.say("hello", {.param = {"michel"}}).get(0s));
  EXPECT_EQ(bus.get_time().get(0s), "noon");
  EXPECT_EQ(bus.multiply({2, 5}).get(0s), 10);
  for (const auto* param : {"later", "never"}) {
    const auto answer = bus.say("hello", {.param = {param}}).get(0s);
    ASSERT_FALSE(answer);
    EXPECT_EQ(word_for(answer.error()), "the handler's own text");
    EXPECT_EQ(failure_of(answer.error()).text, "not now");
  }
}

TEST(ComingFrom, Calls) {
  event_bus<my_events> bus;
  std::vector<int> results;
  bus.multiply.on([](const rectangle& x) { return x.a * x.b; });
  bus.ping.on([] {});
  bus.say.on([](const std::string&) {});
  bus.say.on({"michel"}, [](const std::string&) {});
  actor_system_config config;
  caf::actor_system system{config};
  std::promise<void> done;
  system.spawn([&](caf::event_based_actor* self) {
#include "calls.inc"
    EXPECT_EQ(ten, 10);
    EXPECT_TRUE(said.get(0s));
    EXPECT_TRUE(pong.get(0s));
    EXPECT_TRUE(same.get(0s));
    EXPECT_EQ(name, "say");
    EXPECT_TRUE(waits);
    EXPECT_EQ(in_time.get(0s), 10);
    EXPECT_THAT(*every, ElementsAre(10));
    EXPECT_EQ(each->at(0), 10);
    EXPECT_EQ(here->size(), 1u);
    EXPECT_THAT(results, ElementsAre(10)); // of on_result; then() comes as a message
    self->attach_functor([&] { done.set_value(); });
  });
  ASSERT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_THAT(results, ElementsAre(10, 10));
}

/// Keeps what is written until the test carries it over.
struct my_link {
  std::deque<message> sent;
  int reopened = 0;
  caf::error write(message msg) {
    sent.push_back(std::move(msg));
    return {};
  }
  bool reopen() {
    ++reopened;
    return true;
  }
};

class my_channel final : public generic_channel {
public:
#include "channels.inc"

private:
  my_link& link_;
};

/// Carries messages over, to and fro, until none is left.
void carry_all(my_link& from_here, my_channel& here, my_link& from_there, my_channel& there) {
  const auto carry = [](my_link& from, my_channel& to) {
    for (auto msgs = std::exchange(from.sent, {}); !msgs.empty(); msgs.pop_front())
      to.on_message(std::move(msgs.front()));
  };
  while (!from_here.sent.empty() || !from_there.sent.empty()) {
    carry(from_here, there);
    carry(from_there, here);
  }
}

TEST(ComingFrom, Channels) {
  my_link from_here, from_there;
  my_channel link{from_here}, far_link{from_there};
  event_bus<my_events> here{link}, there{far_link};
  const auto run = [&] { carry_all(from_here, link, from_there, far_link); };
  there.multiply.on([](const rectangle& x) { return x.a * x.b; });
  auto first = here.multiply({2, 5}); // waits, and asks for a connection
  EXPECT_EQ(from_here.reopened, 1);
  link.on_open();
  far_link.on_open();
  run();
  EXPECT_EQ(first.get(0s), 10);

  auto lost = here.multiply({2, 5});
  link.on_close();
  const auto closed = lost.get(0s).error();
  EXPECT_EQ(word_for(closed), "REMOTE_CONNECTION_CLOSED");
  EXPECT_THAT(describe(closed), HasSubstr(word_for(closed)));

  from_here.sent.clear();
  link.on_open();
  far_link.on_close();
  far_link.on_open(); // announces its handlers again
  run();
  auto failed = here.multiply({2, 5});
  link.on_error("torn");
  EXPECT_EQ(failure_of(failed.get(0s).error()).text, "torn");
}

TEST(ComingFrom, Chunked) {
  chunk_options options;
  my_link from_here, from_there;
#include "chunked.inc"
  my_channel far_link{from_there};
  chunked_channel far_chunked{far_link, options};
  event_bus<my_events> there{far_chunked};
  std::string heard;
  there.say.on([&](const std::string& words) { heard = words; });
  link.on_open();
  far_link.on_open();
  carry_all(from_here, link, from_there, far_link);
  auto said = here.say(std::string(2500, 'x'));
  std::vector<std::size_t> kinds;
  for (const auto& msg : from_here.sent)
    kinds.push_back(msg.index());
  EXPECT_THAT(kinds,
              ElementsAre(message{chunk_start{}}.index(), message{chunk_data{}}.index(), message{chunk_data{}}.index(),
                          message{chunk_data{}}.index(), message{chunk_end{}}.index()));
  carry_all(from_here, link, from_there, far_link);
  EXPECT_TRUE(said.get(0s));
  EXPECT_EQ(heard, std::string(2500, 'x'));
}

TEST(ComingFrom, Messages) {
#include "messages.inc"
  std::vector<char> bytes_out;
  const auto all = {greets, asks, tells, fails, comes, goes, ignores, begins, goes_on, ends};
  for (const auto& msg : all)
    EXPECT_FALSE(write_frame(bytes_out, msg, default_frame_bytes_max));
  frame_reader reader;
  reader.feed(std::as_bytes(std::span{bytes_out}));
  for (const auto& msg : all)
    EXPECT_EQ(reader.next(), msg);
}

TEST(ComingFrom, Errors) {
  const auto expect_same_text = [](const caf::error& error, const std::string& text) {
    EXPECT_EQ(text.find(word_for(error)), 0u);
    EXPECT_THAT(failure_of(error).text, StartsWith(text));
  };
  event_bus<my_events> local;
  std::vector<promise<void>> never;
  local.ping.on([&](promise<void> later) { never.push_back(std::move(later)); });
  expect_same_text(local.ping({.timeout = 1ms}).get(10s).error(), "TIMED_OUT on ping with param $_DEFAULT_$");

  my_link from_here;
  my_channel link{from_here};
  event_bus<eager_events> here{link};
  auto refused = here.ping(); // asks for a connection, which fails
  link.on_close();
  expect_same_text(refused.get(0s).error(), "CHANNEL_NOT_READY on ping");
  link.on_open();
  auto lost = here.ping();
  link.on_close();
  expect_same_text(lost.get(0s).error(), "REMOTE_CONNECTION_CLOSED");
}

TEST(ComingFrom, Master) {
  master_options options;
#include "master.inc"
  EXPECT_EQ(ten, 10);
}

int child_of_the_page() {
#include "child.inc"
}

} // namespace
} // namespace cluster_channel

int main(int argc, char** argv) {
  if (cluster_channel::is_child())
    return cluster_channel::child_of_the_page();
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
