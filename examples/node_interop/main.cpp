// node_interop CHILD.JS: one pool over a child in C++, which is this program, and one in JavaScript, for the same
// slots. Started by Node with an IPC channel (see master.js), it is the C++ child of a Node master.

#include <cluster_channel/channels/child_channel.hpp>
#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/master_channel.hpp>

#include "events.hpp"
#include <chrono>
#include <iostream>
#include <map>
#include <sstream>
#include <vector>

using namespace std::chrono_literals;

namespace {

void with_master(events& master) {
  master.count_words.on([](const text_request& request) {
    std::istringstream in{request.text};
    word_count result{0, "C++"};
    for (std::string word; in >> word;)
      ++result.words;
    return result;
  });
}

} // namespace

int main(int argc, char** argv) {
  using namespace cluster_channel;
  if (is_child(child_of::node_too))
    return serve<events>(with_master);
  if (argc != 2) {
    std::cerr << "usage: node_interop CHILD.JS\n";
    return 2;
  }

  master_channel channel{
      {.executable = this_executable(),
       .more_programs = {{.executable = "node", .args = {argv[1]}, .codec = message_codec::json, .nodes = 1}},
       .nodes = 1}};
  event_bus<events> nodes{channel};

  // Calls go to whichever node is free; while the one counts, the other one is asked.
  std::map<std::string, int> answered;
  for (const auto end = std::chrono::steady_clock::now() + 30s;
       answered.size() < 2 && std::chrono::steady_clock::now() < end;) {
    std::vector<call<word_count>> calls;
    for (int i = 0; i < 8; ++i)
      calls.push_back(nodes.count_words({"to be or not to be"}));
    for (auto& each : calls) {
      const auto answer = each.get();
      if (!answer || answer->words != 6) {
        std::cerr << (answer ? "a wrong count from " + answer->language : describe(answer.error())) << '\n';
        return 1;
      }
      ++answered[answer->language];
    }
  }
  for (const auto& [language, count] : answered)
    std::cout << language << " children counted 6 words\n";
  return answered.size() == 2 ? 0 : 1;
}
