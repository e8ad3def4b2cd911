// The child-proxy actor: one per node, wraps the master's end of that child's link. Frames in, frames out.
//
// A CAF broker in the I/O event loop, next to the router. It merges the two ways in which a node ends, of its link and
// of its process, into one `node_gone`. It knows no other node, decides nothing about dispatch and signals nobody.
#pragma once

#include <cluster_channel/actors/answer_journal.hpp>
#include <cluster_channel/actors/kept_calls.hpp>
#include <cluster_channel/actors/pool_messages.hpp>
#include <cluster_channel/actors/pool_options.hpp>

#include <caf/actor_system.hpp>
#include <caf/io/broker.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace cluster_channel {

/// What a proxy needs to know; shared by the proxies of one pool.
struct link_settings {
  pool_options options{};
  hello greeting{};          ///< what the master says; its slots are checked against the child's
  json_forms_source forms{}; ///< of the master's slots, for children that speak JSON; asked by the proxies' thread
};

/// Starts the proxy of `process`, whose `link_fd` it owns from now on, in the I/O event loop of `system`.
/// @param program which of the pool's programs the process runs, counted from 0.
caf::actor spawn_child_proxy(caf::actor_system& system, const caf::actor& supervisor, const caf::actor& router,
                             const process_started& process, std::shared_ptr<const link_settings> settings,
                             std::size_t program = 0);

/// `Node closed, code: 1, signal: null` or `Node closed, code: null, signal: SIGKILL`.
std::string to_string(const exit_status& status);

/// State and behaviours of the proxy; public for its tests only.
class child_proxy_state {
public:
  static inline const char* name = "cluster_channel.child_proxy";

  /// To be called once, by the actor `self` that owns this state.
  caf::behavior start(caf::io::broker* self, const caf::actor& supervisor, const caf::actor& router,
                      const process_started& process, std::shared_ptr<const link_settings> settings,
                      std::size_t program);

private:
  void share_journal(std::vector<char>& out);

  // -- lifecycle states: each is one behaviour --------------------------------
  caf::behavior greeting();  // waits for the child's hello, or its first message where there is none
  caf::behavior serving();   // calls out, answers in
  caf::behavior link_lost(); // end of file came: waits for the exit status
  caf::behavior exited();    // the exit status came: reads what is left on the link
  caf::behavior leaving();   // the master sent end of file: waits for the exit status
  void gone(failure cause, bool permanent = false, bool misbehaved = false);
  caf::error lose_node(const std::exception_ptr& thrown) noexcept;

  // -- events -----------------------------------------------------------------
  void assign(assign_calls& msg);
  void receive(const caf::io::new_data_msg& msg);
  void receive_hello(const hello& theirs);
  void take_in(bytes_view data);
  void recover_answers();
  void greet_without_hello();
  void become_ready(std::optional<std::vector<std::string>> slots);
  bool declared(const std::string& slot) const;
  /// What the child tells besides answers. @returns what is wrong with it.
  caf::error receive_other(message& msg);
  caf::error receive_registration(const handler_registered& added);
  caf::error receive_call(request& call);
  void answer_child(child_answer& msg);
  caf::error check_unread(std::size_t buffered);
  void tell(const std::vector<message>& messages);
  void lose_link();
  void learn_exit(const exit_status& status);
  void leave();

  // -- helpers ----------------------------------------------------------------
  bool write(const message& msg);
  void send_call(request&& call, calls_finished& refused);
  void send_kept();
  failure died(const std::string& text) const;
  void adapt_read_size(std::size_t received);

  caf::io::broker* self_ = nullptr;
  caf::actor supervisor_;
  caf::actor router_;
  std::shared_ptr<const link_settings> settings_;
  process_started process_;
  caf::io::connection_handle link_;
  std::unique_ptr<link_codec> codec_;
  journal_reader journal_;                               // of what the child has answered and not sent, if it may
  std::uint64_t received_bytes_ = 0;                     // since the link began
  std::string executable_;                               // for error texts
  std::size_t read_bytes_ = 0;                           // what one read may bring
  std::unordered_map<call_id, std::size_t> child_calls_; // the child's open calls to the master: bytes of each
  std::size_t child_call_bytes_ = 0;
  std::size_t unread_bytes_ = 0; // of what was written because the child asked, and not even begun to be sent
  std::unordered_set<std::string> declared_;                 // slots that an end has declared; empty: not known
  std::set<std::pair<std::string, std::string>> registered_; // what the child has announced and not withdrawn
  std::size_t registered_bytes_ = 0;                         // of their names
  std::optional<kept_calls> kept_;                           // of a child that cannot say that it has no handler
  bool link_open_ = false;
  bool greeted_ = false;
  bool served_ = false;
  bool gone_ = false;
  std::optional<exit_status> status_;
};

} // namespace cluster_channel
