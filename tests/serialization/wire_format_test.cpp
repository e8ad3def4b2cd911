// Holds the example in wire_format.md against what the code does.
#include <cluster_channel/serialization/codec.hpp>

#include <boost/describe.hpp>
#include <gtest/gtest.h>

#include "frame_samples.hpp"
#include <fstream>
#include <sstream>

namespace cluster_channel {

namespace {

using namespace test;

struct add_request {
  std::int32_t a = 0;
  std::int32_t b = 0;
};
BOOST_DESCRIBE_STRUCT(add_request, (), (a, b))

/// The ```hex blocks of the page; `;` starts a remark.
std::vector<bytes> documented_frames() {
  std::ifstream page{CLUSTER_CHANNEL_WIRE_FORMAT};
  EXPECT_TRUE(page) << CLUSTER_CHANNEL_WIRE_FORMAT;
  std::vector<bytes> result;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      inside = line == "```hex";
      if (inside)
        result.emplace_back();
    } else if (inside) {
      std::istringstream digits{line.substr(0, line.find(';'))};
      for (unsigned x = 0; digits >> std::hex >> x;)
        result.back().push_back(static_cast<std::byte>(x));
    }
  }
  return result;
}

std::vector<message> documented_messages() {
  return {hello{protocol_version,
                binary_codec,
                {{"add", slot_signature<add_request, std::int32_t>()}},
                default_frame_bytes_max},
          request{7, "add", default_param, encode(add_request{2, 40})}, response{7, encode(std::int32_t{42})}};
}

TEST(WireFormat, ExampleIsWhatTheWriterWrites) {
  const auto frames = documented_frames();
  const auto messages = documented_messages();
  ASSERT_EQ(frames.size(), messages.size());
  for (std::size_t i = 0; i < frames.size(); ++i)
    EXPECT_EQ(frames[i], frame_of(messages[i])) << i;
}

TEST(WireFormat, ExampleIsWhatTheReaderReads) {
  frame_reader reader;
  for (const auto& frame : documented_frames())
    reader.feed(frame);
  std::vector<message> back;
  read_all(reader, back);
  EXPECT_TRUE(back == documented_messages());
  EXPECT_EQ(decode<std::int32_t>(std::get<response>(back.at(2)).data), 42);
}

} // namespace

} // namespace cluster_channel
