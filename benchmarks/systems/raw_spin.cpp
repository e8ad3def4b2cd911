// A limit: nodes that work, each on a blocking socket pair of its own, with requests waiting while it runs another.
#include "measure/spin.hpp"
#include "systems/server_process.hpp"
#include "systems/systems.hpp"
#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <system_error>
#include <unistd.h>

namespace bench {

namespace {

using request = std::uint32_t;

class raw_spin final : public echo_system {
public:
  explicit raw_spin(const echo_setup& setup) {
    for (std::size_t i = 0; i < setup.nodes; ++i)
      nodes_.push_back(std::make_unique<server_process>("raw", sizeof(request)));
  }

  void one() override { time_spin(nodes_.size(), 0); }
  void many(std::size_t, std::size_t) override { throw std::logic_error("cannot echo"); }

  double time_spin(std::size_t count, std::uint32_t us) override {
    return timed([&] { spin_all(count, us); });
  }

private:
  void spin_all(std::size_t count, request us) {
    constexpr std::size_t calls_per_node = 16;
    const std::vector<request> requests(calls_per_node, us);
    std::vector<request> answers(calls_per_node);
    std::vector<pollfd> links;
    for (const auto& each : nodes_)
      links.push_back({each->link(), POLLIN, 0});
    std::size_t sent = 0;
    const auto send = [&](int fd, std::size_t some) {
      some = std::min(some, count - sent);
      if (some == 0)
        return;
      const auto bytes = static_cast<ssize_t>(some * sizeof us);
      if (::write(fd, requests.data(), some * sizeof us) != bytes)
        throw std::system_error{errno, std::generic_category(), "write"};
      sent += some;
    };
    for (const auto& each : links)
      send(each.fd, calls_per_node);
    for (std::size_t received = 0; received < count;) {
      ::poll(links.data(), links.size(), -1);
      for (const auto& each : links) {
        if (each.revents == 0)
          continue;
        // Answers are written whole, so none is cut.
        const auto bytes = ::read(each.fd, answers.data(), answers.size() * sizeof us);
        if (bytes <= 0)
          throw std::system_error{errno, std::generic_category(), "read"};
        const auto some = static_cast<std::size_t>(bytes) / sizeof us;
        received += some;
        send(each.fd, some);
      }
    }
  }

  std::vector<std::unique_ptr<server_process>> nodes_;
};

int serve(const serve_arguments&) {
  for (request us = 0; ::read(link_of_server, &us, sizeof us) == sizeof us;) {
    spin(us);
    if (::write(link_of_server, &us, sizeof us) != sizeof us)
      break;
  }
  return 0;
}

} // namespace

system_entry raw_spin_system() {
  return {.name = "raw",
          .can = {.is_limit = true,
                  .one_at_a_time = false,
                  .in_flight = false,
                  .at_once_max = 0,
                  .large = false,
                  .spins = true},
          .start = [](const echo_setup& setup) { return std::make_unique<raw_spin>(setup); },
          .serve = serve};
}

} // namespace bench
