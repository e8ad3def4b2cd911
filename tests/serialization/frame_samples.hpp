// Messages of every kind, and ways to write and read them.
#pragma once

#include <cluster_channel/serialization/frame.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace cluster_channel::test {

inline bytes to_bytes(std::string_view text) {
  const auto view = as_bytes_view(text);
  return {view.begin(), view.end()};
}

/// Values of every kind, plain and extreme. None of them has fields that frames do not carry.
inline std::vector<message> sample_messages() {
  return {
      hello{},
      hello{protocol_version, binary_codec, {{"add", "{a: i32} -> i32"}, {"", ""}, {"stop", "void -> void"}}},
      hello{protocol_version, binary_codec, {{"add", ""}}, 0xFFFF'FFFF},
      request{},
      request{~call_id{0}, "add", "left", to_bytes({"\0\1\2", 3})},
      response{},
      response{42, to_bytes("some data")},
      error_message{1, {.code = errc::handler_failed}},
      error_message{2, {.code = errc::protocol_mismatch, .text = "a text", .stack = "at f\nat g"}},
      handler_registered{"add", ""},
      handler_registered{"add"},
      handler_unregistered{"", "p"},
      event_list{},
      event_list{{"one", "", "three"}},
      chunk_start{},
      chunk_start{7, std::uint64_t{1} << 40},
      chunk_data{},
      chunk_data{~chunk_id_type{0}, to_bytes({"\0\1\2", 3})},
      chunk_end{},
      chunk_end{7},
  };
}

inline bytes frame_of(const message& msg) {
  std::vector<char> out;
  const auto err = write_frame(out, msg, default_frame_bytes_max);
  EXPECT_FALSE(err) << describe(err);
  return to_bytes({out.data(), out.size()});
}

inline bytes frames_of(const std::vector<message>& msgs) {
  bytes result;
  for (const auto& msg : msgs) {
    const auto frame = frame_of(msg);
    result.insert(result.end(), frame.begin(), frame.end());
  }
  return result;
}

/// Whether the last field of `msg` is a payload: what is cut short or longer is another one.
inline bool ends_in_payload(const message& msg) {
  return std::holds_alternative<request>(msg) || std::holds_alternative<response>(msg) ||
         std::holds_alternative<chunk_data>(msg);
}

inline void read_all(frame_reader& reader, std::vector<message>& to) {
  while (auto msg = reader.next())
    to.push_back(std::move(*msg));
}

} // namespace cluster_channel::test
