// What the tests' master and children share, in C++ and in JavaScript.
#pragma once

#include <cluster_channel/channels/slot.hpp>

#include <boost/describe.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace node_test {

enum class size { small, large };
BOOST_DESCRIBE_ENUM(size, small, large)

struct item {
  std::string name;
  double price = 0;
  std::optional<std::string> note;
  friend bool operator==(const item&, const item&) = default;
};
BOOST_DESCRIBE_STRUCT(item, (), (name, price, note))

struct order {
  std::int64_t number = 0;
  size how_large = size::small;
  std::vector<item> items;
  std::map<std::string, std::vector<int>> table;
  std::variant<std::int32_t, std::string> tag;
  std::optional<item> gift;
  bool paid = false;
  friend bool operator==(const order&, const order&) = default;
};
BOOST_DESCRIBE_STRUCT(order, (), (number, how_large, items, table, tag, gift, paid))

template <class T>
using echo = cluster_channel::slot<T, T>;

struct events {
  echo<std::string> echo_string;
  echo<std::int64_t> echo_integer;
  echo<double> echo_number;
  echo<bool> echo_bool;
  echo<std::vector<int>> echo_list;
  echo<std::map<std::string, std::string>> echo_map;
  echo<std::optional<int>> echo_optional;
  echo<order> echo_order;
  echo<std::vector<std::byte>> echo_bytes;
  cluster_channel::slot<void> nothing;
  cluster_channel::slot<std::string, std::string> fail; ///< fails with its request as the error's message
  echo<std::string> by_param;                           ///< handled for the parameters a and b, which it puts in front
  echo<std::string> late;                               ///< not handled before somebody asks for it
  cluster_channel::slot<void, std::int64_t> pid;

  /// Runs JavaScript in the child, and answers with what it returns, which each slot takes for another type.
  cluster_channel::slot<std::string, std::string> run;
  cluster_channel::slot<std::string, std::int64_t> run_for_integer;
  cluster_channel::slot<std::string, std::optional<int>> run_for_optional;
  cluster_channel::slot<std::string> run_for_nothing;

  // The master's.
  cluster_channel::slot<std::string, std::string> ask_master;
  cluster_channel::slot<double> progress;
};
BOOST_DESCRIBE_STRUCT(events, (),
                      (echo_string, echo_integer, echo_number, echo_bool, echo_list, echo_map, echo_optional,
                       echo_order, echo_bytes, nothing, fail, by_param, late, pid, run, run_for_integer,
                       run_for_optional, run_for_nothing, ask_master, progress))

} // namespace node_test
