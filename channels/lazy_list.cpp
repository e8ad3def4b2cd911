#include <cluster_channel/channels/lazy_list.hpp>

namespace cluster_channel::detail {

/// Touched only by what the queue of steps runs.
class lazy_list::entry {
public:
  entry(lazy_callback on_connect, lazy_callback on_disconnect)
      : connect_{std::move(on_connect)}, disconnect_{std::move(on_disconnect)} {}

  std::uint64_t id() const noexcept { return id_; }
  void set_id(std::uint64_t id) noexcept { id_ = id; }

  void set(const std::string& param, bool used) {
    if (used && !ended_) {
      if (connected_.insert(param).second && connect_)
        connect_(param);
    } else if (connected_.erase(param) > 0 && disconnect_) {
      disconnect_(param);
    }
  }

  void end() {
    ended_ = true;
    while (!connected_.empty())
      set(std::string{*connected_.begin()}, false);
  }

private:
  lazy_callback connect_;
  lazy_callback disconnect_;
  std::set<std::string> connected_;
  bool ended_ = false;
  std::uint64_t id_ = 0; // set before anything else
};

lazy_list::entry_ptr lazy_list::add(lazy_callback connect, lazy_callback disconnect) {
  auto result = std::make_shared<entry>(std::move(connect), std::move(disconnect));
  {
    std::lock_guard guard{mutex_};
    entries_.emplace(++last_id_, result);
    result->set_id(last_id_);
    ++count_;
  }
  take({result, false, {}});
  return result;
}

void lazy_list::cancel(const entry_ptr& which) {
  {
    std::lock_guard guard{mutex_};
    count_ -= entries_.erase(which->id());
  }
  take({which, true, {}});
}

void lazy_list::update(const std::string& param) {
  take({nullptr, false, param});
}

void lazy_list::take(step next) {
  steps_.add(std::move(next), [this](const step& x) {
    if (x.ends) {
      x.which->end();
      return;
    }
    if (x.which) {
      for (const auto& param : used_params_())
        x.which->set(param, true);
      return;
    }
    const auto is_used = is_used_(x.param);
    for (const auto& each : entries())
      each->set(x.param, is_used);
  });
}

std::vector<lazy_list::entry_ptr> lazy_list::entries() const {
  std::lock_guard guard{mutex_};
  std::vector<entry_ptr> result;
  for (const auto& entry : entries_)
    result.push_back(entry.second);
  return result;
}

} // namespace cluster_channel::detail
