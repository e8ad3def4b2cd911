// echo_master [--nodes N] SLOT JSON: calls one slot of echo_child and prints the response as JSON.

#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/master_channel.hpp>
#include <cluster_channel/serialization/json.hpp>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "events.hpp"
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <string>

namespace {

using boost::json::value;

/// Calls `slot` with a JSON request. A slot without a response answers `null`.
template <class Request, class Response>
caf::expected<value> call_with_json(const cluster_channel::slot<Request, Response>& slot, const value& json) {
  auto request = cluster_channel::from_json<Request>(json);
  if (!request)
    return request.error();
  auto response = slot(std::move(*request)).get();
  if (!response)
    return response.error();
  if constexpr (std::is_void_v<Response>)
    return value(nullptr);
  else
    return cluster_channel::to_json(*response);
}

/// Slot name to a function that calls that slot.
std::map<std::string, std::function<caf::expected<value>(const value&)>> callers(const echo::events& bus) {
  std::map<std::string, std::function<caf::expected<value>(const value&)>> result;
  using members = boost::describe::describe_members<echo::events, boost::describe::mod_public>;
  boost::mp11::mp_for_each<members>([&](auto member) {
    const auto& slot = bus.*member.pointer;
    result[member.name] = [&slot](const value& json) { return call_with_json(slot, json); };
  });
  return result;
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"Calls one slot of echo_child and prints its response as JSON."};
  cluster_channel::master_options options;
  options.executable = std::filesystem::path{cluster_channel::this_executable()}.replace_filename("echo_child");
  options.nodes = 1;
  std::string name;
  std::string text;
  app.add_option("--nodes", options.nodes, "at most this many child processes")->check(CLI::PositiveNumber);
  app.add_option("--child", options.executable, "the child program; by default echo_child beside this one");
  app.add_option("slot", name, "echo, multiply, fail, sleep_ms or crash")->required();
  app.add_option("json", text, "the request, e.g. '\"text\"' or '{\"a\": 6, \"b\": 7}'")->required();
  CLI11_PARSE(app, argc, argv);

  boost::json::error_code ec;
  const auto request = boost::json::parse(text, ec);
  if (ec) {
    std::cerr << "echo_master: the request is no JSON: " << ec.message() << " (quote a string as '\"text\"')\n";
    return 2;
  }
  try {
    cluster_channel::master_channel channel{options};
    const cluster_channel::event_bus<echo::events> bus{channel};
    const auto slots = callers(bus);
    const auto caller = slots.find(name);
    if (caller == slots.end()) {
      std::cerr << "echo_master: no slot " << name << "; see --help\n";
      return 2;
    }
    auto response = caller->second(request);
    if (!response) {
      std::cerr << "echo_master: " << cluster_channel::describe(response.error()) << '\n';
      return 1;
    }
    std::cout << boost::json::serialize(*response) << '\n';
  } catch (const std::exception& ex) {
    std::cerr << "echo_master: " << ex.what() << '\n';
    return 2;
  }
}
