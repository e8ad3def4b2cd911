#include <cluster_channel/actors/hello.hpp>

#include <algorithm>
#include <string>

namespace cluster_channel {

namespace {

std::string in_words(const hello& x) {
  std::string result = "protocol version " + std::to_string(x.version) + ", codec " + x.codec + ", slots";
  const char* separator = " ";
  for (const auto& slot : x.slots) {
    result += separator + slot.name;
    separator = ", ";
  }
  return x.slots.empty() ? result + " none" : result;
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
  for (const auto& ours : master.slots) {
    const auto theirs = std::find_if(child.slots.begin(), child.slots.end(),
                                     [&](const slot_declaration& x) { return x.name == ours.name; });
    if (theirs == child.slots.end())
      continue;
    in_common = true;
    if (!ours.signature.empty() && !theirs->signature.empty() && ours.signature != theirs->signature)
      return mismatch("the types of slot " + ours.name + " differ, the master's are " + ours.signature +
                      " and the child's are " + theirs->signature);
  }
  return in_common ? caf::error{} : mismatch("no slot in common");
}

} // namespace cluster_channel
