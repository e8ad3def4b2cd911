// What master and children share, in whatever language they are written.
#pragma once

#include <cluster_channel/channels/slot.hpp>

#include <boost/describe.hpp>

#include <cstdint>
#include <string>

struct text_request {
  std::string text;
};
BOOST_DESCRIBE_STRUCT(text_request, (), (text))

struct word_count {
  std::uint32_t words = 0;
  std::string language; ///< of the child that counted
};
BOOST_DESCRIBE_STRUCT(word_count, (), (words, language))

struct events {
  cluster_channel::slot<text_request, word_count> count_words;
};
BOOST_DESCRIBE_STRUCT(events, (), (count_words))
