// The base of channels that carry messages: derive from it to connect two buses over a link of your own.
//
//   class my_channel final : public generic_channel {
//   public:
//     my_channel() { link_.on_up([this] { connected(); }); … }
//     ~my_channel() override { link_.stop(); detach(); }
//   private:
//     caf::error send(message msg) override { return link_.write(std::move(msg)); }
//     my_link link_;
//   };
//
// The derived class implements `send` and tells what happens on its link: `connected`, `disconnected`, `error`,
// `message_received`. write_frame and frame_reader (serialization/frame.hpp) turn messages into bytes and back.
// examples/own_channel is a complete one in thirty lines, examples/tcp one that connects again. All functions here are
// thread-safe.
#pragma once

#include <cluster_channel/channels/channel.hpp>

#include <caf/error.hpp>

#include <chrono>
#include <memory>

namespace cluster_channel {

namespace detail {

class message_link;

} // namespace detail

class generic_channel : public channel {
public:
  generic_channel(const generic_channel&) = delete;
  generic_channel& operator=(const generic_channel&) = delete;

  /// The derived class has called `detach` by now.
  ~generic_channel() override;

  std::shared_ptr<call_target> connect(std::shared_ptr<channel_listener> listener) override;
  void undo_connect(const channel_listener& listener) override;

protected:
  /// @param timeout of calls that have none of their own, from the moment they are sent to their answer.
  explicit generic_channel(caf::timespan timeout = std::chrono::seconds{5});

  // -- for the derived class to implement -------------------------------------

  /// Sends `msg` to the far end. Called by any thread, by several at once, and from within the functions below; only
  /// between `connected` and `disconnected`, but for the moment in which the link goes down. What one thread sends must
  /// arrive in that order. It may block if that cannot wait for this end to read: a handler sends its answer on the
  /// thread that reads. The library queues nothing in front of it. An exception counts as an error.
  /// @returns why that message cannot be sent: a request then fails with it, for a response an error goes to who asked.
  ///          Only these should be refused for lack of room: a handler's coming or going is told again every 100 ms
  ///          until it is taken, and a link whose hello is refused counts as down until `connected` is called again. A
  ///          link that is lost need not be reported here, `disconnected` does that.
  virtual caf::error send(message msg) = 0;

  /// Begins to connect again; called when a slot is called while the link is down, and then not again before
  /// `connected`, `disconnected` or `error`. It must return at once. It may call these from within, which runs the
  /// bus's waiting calls and handlers there: not with a lock held that `send` takes.
  /// @returns false if this channel cannot, or is trying by itself and this is no reason to hurry; an exception counts
  ///          as false.
  virtual bool reconnect() { return false; }

  // -- for the derived class to call ------------------------------------------

  /// The link is up. Sends a hello and the bus's registrations from within.
  void connected();

  /// The link is down: calls under way fail with `connection_closed`, the far end's handlers are forgotten.
  void disconnected();

  /// Something is wrong with the link as a whole: calls under way fail with `why`.
  void error(const caf::error& why);

  /// A message came. A request runs the handlers of the bus on this thread, which then reads nothing: they must not
  /// wait (`get`) for an answer over the same channel, and should not block for long. (Those of pools and of a
  /// child_channel may wait.)
  void message_received(message msg);

  /// Waits until no `send` or `reconnect` runs, after which none is called again; calls under way fail with
  /// `channel_closed`. A derived class calls it first thing in its destructor, or as soon as nothing calls the
  /// functions above any more: its `send` must not be called while it is being destroyed. Not from within `send`.
  void detach() noexcept;

  /// Whether a bus is connected to this channel.
  bool has_bus() const noexcept;

private:
  friend class detail::message_link;
  friend class chunked_channel;

  std::shared_ptr<detail::message_link> link_;
};

} // namespace cluster_channel
