// What the parity suite stands on: a declaration with a slot of every kind, virtual time, and a channel whose far end
// is the test itself.
//
// The suite goes through the behaviours of the event bus one by one; a file is named after what it covers.
#pragma once

#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/generic_channel.hpp>
#include <cluster_channel/channels/local_channel.hpp>
#include <cluster_channel/tests/test_kit.hpp>

#include <caf/actor_system.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace cluster_channel::parity {

using namespace std::chrono_literals;

struct events {
  slot<int, int> twice;   // has a response
  slot<std::string> note; // an event
  slot<void> tick;        // carries nothing at all
  slot<std::string, std::string> echo;
  slot<int, int> now{{.no_buffer = true}};
  slot<std::string> shout{{.no_buffer = true}};
  slot<int, int> stay{{.auto_reconnect = false}};
  slot<int, int> blunt{{.no_buffer = true, .auto_reconnect = false}};
  slot<int, int> quick{{.timeout = 100ms}};
  slot<int, int> impatient{{.wait_timeout = 100ms}};
};
BOOST_DESCRIBE_STRUCT(events, (), (twice, note, tick, echo, now, shout, stay, blunt, quick, impatient))

using bus_type = event_bus<events>;

// -- handlers -----------------------------------------------------------------

inline int doubled(int x) {
  return 2 * x;
}

inline int same(int x) {
  return x;
}

// -- results in words ---------------------------------------------------------

template <class T>
std::string in_words(const T& x) {
  return ::testing::PrintToString(x);
}

template <class T>
std::string in_words(const answers<T>& all);

template <class T>
std::string in_words(const caf::expected<T>& x) {
  if (!x) {
    const auto what = failure_of(x.error());
    return to_string(what.code) + ": " + what.text;
  }
  if constexpr (std::is_void_v<T>)
    return "done";
  else
    return in_words(*x);
}

template <class T>
std::string in_words(const answers<T>& all) {
  std::string result;
  for (const auto& x : all)
    result += (result.empty() ? "" : ", ") + in_words(x);
  return "[" + result + "]";
}

/// What became of a call by now: "pending", its answer ("done" if that is void), or "code: text". Takes the result.
template <class T>
std::string outcome(call<T>& x) {
  const auto result = x.get(0ms);
  if (!result && failure_of(result.error()).text == "no answer within the deadline given to get")
    return "pending";
  return in_words(result);
}

template <class T>
std::string outcome(call<T>&& x) {
  return outcome(x);
}

// -- virtual time -------------------------------------------------------------

/// An actor system in which nothing happens but in `run`, and in which time passes in `advance` alone.
class virtual_time {
public:
  /// Lets everything happen that can happen without time passing.
  void run() {
    do
      coordinator().run();
    while (coordinator().advance_time(caf::timespan::zero()) > 0);
  }

  void advance(std::chrono::milliseconds time) {
    run();
    for (; time > 0ms; time -= 1ms) {
      coordinator().advance_time(1ms);
      run();
    }
  }

  bus_options options(std::vector<channel*> channels) const {
    return {.channels = std::move(channels), .timers = timers};
  }

  caf::scheduler::test_coordinator& coordinator() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  }

  test::system_config config;
  caf::actor_system system{config};
  std::shared_ptr<timer_service> timers = make_actor_timers(system);
};

/// Two buses, each the far end of the other.
class two_ends : public virtual_time {
public:
  explicit two_ends(local_channel_options how = {}) : link{system, how} { run(); }

  local_channel_pair link;
  bus_type here{options({&link.first()})};
  bus_type there{options({&link.second()})};
};

/// A bus with two far ends.
class three_ends : public virtual_time {
public:
  explicit three_ends(local_channel_options how = {}) : first{system, how}, second{system, how} { run(); }

  local_channel_pair first;
  local_channel_pair second;
  bus_type here{options({&first.first(), &second.first()})};
  bus_type one{options({&first.second()})};
  bus_type two{options({&second.second()})};
};

// -- the test as the far end --------------------------------------------------

inline std::string name_of(const std::string& slot, const std::string& param) {
  return slot + (param == default_param ? "" : " " + param);
}

struct words_of {
  std::string operator()(const hello&) const { return "hello"; }
  std::string operator()(const request& x) const { return "request " + name_of(x.slot, x.param); }
  std::string operator()(const response&) const { return "response"; }
  std::string operator()(const error_message& x) const { return "error " + x.what.text; }
  std::string operator()(const handler_registered& x) const { return "registered " + name_of(x.slot, x.param); }
  std::string operator()(const handler_unregistered& x) const { return "unregistered " + name_of(x.slot, x.param); }
  std::string operator()(const event_list& x) const { return "ignored " + ::testing::PrintToString(x.ignored); }
  template <class Other>
  std::string operator()(const Other&) const {
    return "something else";
  }
};

/// A message in words, without its id.
inline std::string in_words(const message& x) {
  return std::visit(words_of{}, x);
}

/// Records what the bus says; the test says the rest.
class wire final : public generic_channel {
public:
  explicit wire(caf::timespan timeout = no_timeout) : generic_channel{timeout} {}
  ~wire() override { detach(); }

  using generic_channel::connected;
  using generic_channel::disconnected;
  using generic_channel::error;
  using generic_channel::message_received;

  /// The far end's handlers.
  void registers(const std::string& slot, const std::string& param = default_param) {
    message_received(handler_registered{slot, param});
  }

  void unregisters(const std::string& slot, const std::string& param = default_param) {
    message_received(handler_unregistered{slot, param});
  }

  /// Answers the last request with `value`.
  template <class T>
  void answers(const T& value) {
    message_received(response{last_request.id, encode(value)});
  }

  /// What was said since the last time, in words.
  std::vector<std::string> said() {
    std::vector<std::string> result;
    for (const auto& x : std::exchange(sent, {}))
      result.push_back(in_words(x));
    return result;
  }

  std::vector<message> sent;
  request last_request;
  bool can_reconnect = false;
  int reconnections = 0;
  std::function<void(const message&)> before_sending;

private:
  caf::error send(message msg) override {
    if (before_sending)
      before_sending(msg);
    if (const auto* call = std::get_if<request>(&msg))
      last_request = *call;
    sent.push_back(std::move(msg));
    return {};
  }

  bool reconnect() override {
    reconnections += can_reconnect ? 1 : 0;
    return can_reconnect;
  }
};

} // namespace cluster_channel::parity
