#include <cluster_channel/channels/chunk_joiner.hpp>

#include <utility>
#include <variant>

namespace cluster_channel::detail {

namespace {

/// Refused messages to remember; of one beyond, each chunk is an error of its own.
constexpr std::size_t refused_max = 10'000;

bool is_chunk(const message& msg) {
  return std::holds_alternative<chunk_start>(msg) || std::holds_alternative<chunk_data>(msg) ||
         std::holds_alternative<chunk_end>(msg);
}

} // namespace

chunk_joiner::result chunk_joiner::receive(const chunk_start& chunk) {
  const auto id = chunk.chunk_id;
  refused_.erase(id); // another message
  if (open_.contains(id))
    return refuse(id, "started twice");
  if (chunk.size > options_.message_bytes_max)
    return refuse(id, "has " + std::to_string(chunk.size) + " bytes, message_bytes_max is " +
                          std::to_string(options_.message_bytes_max));
  if (open_.size() >= options_.chunks_open_max)
    return refuse(id,
                  "started while " + std::to_string(open_.size()) + " others have not ended, which is chunks_open_max");
  if (chunk.size > options_.open_bytes_max - open_bytes_)
    return refuse(id, "has " + std::to_string(chunk.size) +
                          " bytes, with those that have not ended more than "
                          "open_bytes_max, which is " +
                          std::to_string(options_.open_bytes_max));
  open_bytes_ += chunk.size;
  open_.try_emplace(id, chunk.size, options_.message_bytes_max);
  return {};
}

chunk_joiner::result chunk_joiner::receive(const chunk_data& chunk) {
  const auto id = chunk.chunk_id;
  if (refused_.contains(id))
    return {};
  auto pos = open_.find(id);
  if (pos == open_.end())
    return refuse(id, "goes on without a start");
  auto& to = pos->second;
  if (chunk.data.empty())
    return refuse(id, "has an empty chunk");
  if (chunk.data.size() > to.size - to.received)
    return refuse(id, "is longer than the " + std::to_string(to.size) + " bytes it began with");
  to.received += chunk.data.size();
  to.moved = true;
  to.frame.feed(chunk.data);
  return {};
}

chunk_joiner::result chunk_joiner::receive(const chunk_end& chunk) {
  const auto id = chunk.chunk_id;
  if (refused_.erase(id) > 0)
    return {};
  auto pos = open_.find(id);
  auto fail = [&](const std::string& why) {
    auto problem = refuse(id, why);
    refused_.erase(id); // this was its end
    return problem;
  };
  if (pos == open_.end())
    return fail("ends without a start");
  auto all = remove(pos);
  if (all.received < all.size)
    return {}; // its sender could not go on, and knows it
  auto joined = all.frame.next();
  if (all.frame.error())
    return fail("is " + failure_of(all.frame.error()).text);
  if (!joined || all.frame.mid_frame())
    return fail("is not one frame");
  if (is_chunk(*joined))
    return fail("is itself a chunk");
  return {std::move(joined), {}};
}

void chunk_joiner::link_down() {
  refused_.clear();
  // What the far end was just sending may still come, on a link that is up again by then.
  for (const auto& entry : open_)
    refused_.insert(entry.first);
  open_.clear();
  open_bytes_ = 0;
}

caf::error chunk_joiner::drop_stalled() {
  caf::error first;
  for (auto pos = open_.begin(); pos != open_.end();) {
    const auto [id, moved] = std::pair{pos->first, std::exchange(pos->second.moved, false)};
    const auto text = "has stalled after " + std::to_string(pos->second.received) + " of " +
                      std::to_string(pos->second.size) + " bytes";
    ++pos;
    if (moved)
      continue;
    auto problem = refuse(id, text);
    if (!first)
      first = std::move(problem.error);
  }
  return first;
}

chunk_joiner::result chunk_joiner::refuse(chunk_id_type id, const std::string& why) {
  if (auto pos = open_.find(id); pos != open_.end())
    remove(pos);
  if (refused_.size() < refused_max)
    refused_.insert(id);
  return {{}, make_error(errc::protocol_error, "a message in chunks (" + std::to_string(id) + ") " + why)};
}

chunk_joiner::partial chunk_joiner::remove(partials::iterator pos) {
  auto result = std::move(pos->second);
  open_.erase(pos);
  open_bytes_ -= result.size;
  return result;
}

} // namespace cluster_channel::detail
