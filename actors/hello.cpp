#include <cluster_channel/actors/hello.hpp>
#include <cluster_channel/serialization/frame.hpp>

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace cluster_channel {

namespace {

/// Bounds of what an error text repeats of a hello, in bytes: every call that waits fails with it.
constexpr std::size_t names_bytes_max = 1000;
constexpr std::size_t signature_bytes_max = 800;

std::string in_words(const hello& x) {
  auto result = "protocol version " + std::to_string(x.version);
  if (x.version > protocol_version)
    return result; // more is not known
  result += ", codec " + capped(x.codec, signature_bytes_max) + ", slots";
  std::string names;
  for (const auto& slot : x.slots) {
    names += (names.empty() ? " " : ", ") + slot.name;
    if (names.size() > names_bytes_max)
      return result + capped(std::move(names), names_bytes_max) + " of " + std::to_string(x.slots.size()) + " slots";
  }
  return x.slots.empty() ? result + " none" : result + names;
}

} // namespace

caf::error compare_hellos(const hello& master, const hello& child) {
  const auto mismatch = [&](const std::string& what) {
    return make_error(errc::protocol_mismatch, what + ": the master has " + in_words(master) + "; the child has " +
                                                   in_words(child) + ". Build both from the same declaration");
  };
  if (master.version != child.version)
    return mismatch("protocol versions differ");
  if (master.codec != child.codec)
    return mismatch("codecs differ");
  bool in_common = master.slots.empty() || child.slots.empty();
  std::unordered_map<std::string_view, const slot_declaration*> childs;
  for (const auto& slot : child.slots)
    childs.emplace(slot.name, &slot);
  for (const auto& ours : master.slots) {
    const auto found = childs.find(ours.name);
    if (found == childs.end())
      continue;
    const auto* theirs = found->second;
    in_common = true;
    if (!ours.signature.empty() && !theirs->signature.empty() && ours.signature != theirs->signature)
      return mismatch("the types of slot " + ours.name + " differ, the master's are " +
                      capped(ours.signature, signature_bytes_max) + " and the child's are " +
                      capped(theirs->signature, signature_bytes_max));
  }
  return in_common ? caf::error{} : mismatch("no slot in common");
}

} // namespace cluster_channel
