// Node's IPC without Node: lines in, messages out, and back.

#include <cluster_channel/serialization/codec.hpp>
#include <cluster_channel/serialization/node_ipc.hpp>

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "random.hpp"
#include "samples.hpp"
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <string>

namespace cluster_channel {

namespace {

using namespace test;
using ::testing::HasSubstr;

class NodeIpc : public ::testing::Test {
protected:
  static std::shared_ptr<const json_forms> forms() {
    json_forms result;
    result["echo"] = json_form_of<std::string, std::string>();
    result["number"] = json_form_of<double, double>();
    result["half"] = json_form_of<std::int64_t, double>();
    result["move"] = json_form_of<point, point>();
    result["ping"] = json_form_of<void, void>();
    result["find"] = json_form_of<std::optional<int>, std::optional<int>>();
    return std::make_shared<const json_forms>(std::move(result));
  }

  void feed(std::string_view text) { codec_.feed(as_bytes_view(text)); }

  std::optional<message> next() { return codec_.next(replies_); }

  /// The next message, which must be a T.
  template <class T>
  T get() {
    auto msg = next();
    EXPECT_TRUE(msg) << describe(codec_.error());
    const auto* x = msg ? std::get_if<T>(&*msg) : nullptr;
    EXPECT_TRUE(x);
    return x ? *x : T{};
  }

  std::string written(const message& msg) {
    std::vector<char> out;
    const auto err = codec_.write(out, msg);
    return err ? "error: " + failure_of(err).text : std::string{out.begin(), out.end()};
  }

  std::string replies() const { return {replies_.begin(), replies_.end()}; }

  std::vector<char> replies_;
  json_link_codec codec_{10'000, forms};
};

TEST_F(NodeIpc, ChunksAreNotWritten) {
  for (const auto& chunk : {message{chunk_start{1, 10}}, message{chunk_data{1, bytes(10)}}, message{chunk_end{1}}})
    EXPECT_THAT(written(chunk), HasSubstr("error: Node's IPC carries no chunks"));
}

TEST_F(NodeIpc, RequestsAreWrittenAsTsEventBusSpellsThem) {
  EXPECT_EQ(written(request{7, "echo", "p", encode(std::string{"a\nb"})}),
            R"({"type":"request","slotName":"echo","param":"p","id":"7","data":"a\nb"})"
            "\n");
  EXPECT_EQ(written(request{8, "ping"}), R"({"type":"request","slotName":"ping","param":"$_DEFAULT_$","id":"8"})"
                                         "\n");
}

TEST_F(NodeIpc, RegistrationsAndEventListsAreWritten) {
  EXPECT_EQ(written(handler_registered{"echo", "p"}),
            "{\"type\":\"handler_registered\",\"slotName\":\"echo\",\"param\":\"p\"}\n");
  EXPECT_EQ(written(handler_unregistered{"echo"}),
            "{\"type\":\"handler_unregistered\",\"slotName\":\"echo\",\"param\":\"$_DEFAULT_$\"}\n");
  EXPECT_EQ(written(event_list{{"a", "b"}}), "{\"type\":\"event_list\",\"ignoredEvents\":[\"a\",\"b\"]}\n");
  EXPECT_EQ(written(hello{}), "");
}

TEST_F(NodeIpc, ARequestThatJavaScriptCannotHoldIsRefused) {
  EXPECT_THAT(written(request{1, "half", default_param, encode(std::int64_t{1} << 53)}), HasSubstr("beyond 2^53 - 1"));
  EXPECT_THAT(written(request{1, "echo", default_param, encode(std::string{"\xFF"})}), HasSubstr("UTF-8"));
  EXPECT_THAT(written(request{1, "other", default_param, {}}), HasSubstr("slot other has no JSON form"));
}

TEST_F(NodeIpc, AMessageBeyondTheLimitIsRefusedInBothDirections) {
  EXPECT_THAT(written(request{1, "echo", default_param, encode(std::string(10'000, 'x'))}),
              HasSubstr("frame_bytes_max is 10000"));
  feed(std::string(10'001, ' '));
  EXPECT_FALSE(next());
  EXPECT_THAT(describe(codec_.error()), HasSubstr("more than frame_bytes_max"));
}

TEST_F(NodeIpc, ResponsesAreReadByTheFormOfTheirSlot) {
  feed(R"({"type":"response","slotName":"move","id":"3","data":{"x":1,"y":2},"param":"$_DEFAULT_$"})"
       "\n");
  const auto x = get<response>();
  EXPECT_EQ(x.id, 3U);
  EXPECT_EQ(*decode<point>(x.data), (point{1, 2}));
}

TEST_F(NodeIpc, AResponseThatDoesNotFitFailsItsCallAlone) {
  feed("{\"type\":\"response\",\"slotName\":\"move\",\"id\":\"3\",\"data\":17}\n"
       "{\"type\":\"response\",\"slotName\":\"move\",\"id\":\"4\"}\n"
       "{\"type\":\"response\",\"slotName\":\"ping\",\"id\":\"5\",\"data\":17}\n");
  const auto x = get<error_message>();
  EXPECT_EQ(x.id, 3U);
  EXPECT_EQ(x.what.code, errc::bad_payload);
  EXPECT_THAT(x.what.text, HasSubstr("an object was expected, int64 came"));
  EXPECT_THAT(get<error_message>().what.text, HasSubstr("no data"));
  EXPECT_EQ(get<response>(), (response{5, {}})); // whatever a handler without an answer returns
  EXPECT_FALSE(codec_.error());
}

TEST_F(NodeIpc, NullAndMissingAreAnEmptyOptional) {
  feed("{\"type\":\"response\",\"slotName\":\"find\",\"id\":\"1\"}\n"
       "{\"type\":\"response\",\"slotName\":\"find\",\"id\":\"2\",\"data\":null}\n"
       "{\"type\":\"response\",\"slotName\":\"find\",\"id\":\"3\",\"data\":9}\n");
  EXPECT_EQ(*decode<std::optional<int>>(get<response>().data), std::nullopt);
  EXPECT_EQ(*decode<std::optional<int>>(get<response>().data), std::nullopt);
  EXPECT_EQ(*decode<std::optional<int>>(get<response>().data), 9);
}

TEST_F(NodeIpc, ErrorsKeepMessageAndStack) {
  feed(R"({"id":"3","message":"Error: no luck","param":"$_DEFAULT_$","slotName":"echo","stack":"at x","type":"error"})"
       "\n");
  const auto x = get<error_message>();
  EXPECT_EQ(x.id, 3U);
  EXPECT_EQ(x.what.code, errc::handler_failed);
  EXPECT_EQ(x.what.text, "Error: no luck");
  EXPECT_EQ(x.what.stack, "at x");
}

TEST_F(NodeIpc, AnswersRepeatIdSlotAndParameterOfTheRequest) {
  feed("{\"type\":\"request\",\"slotName\":\"echo\",\"id\":\"abc\",\"data\":\"x\",\"param\":\"p\"}\n"
       "{\"type\":\"request\",\"slotName\":\"ping\",\"id\":17,\"param\":\"q\"}\n");
  const auto first = get<request>();
  EXPECT_EQ(first.slot, "echo");
  EXPECT_EQ(first.param, "p");
  EXPECT_EQ(*decode<std::string>(first.data), "x");
  const auto second = get<request>();
  EXPECT_EQ(written(response{second.id, {}}),
            "{\"type\":\"response\",\"slotName\":\"ping\",\"param\":\"q\",\"id\":17}\n");
  EXPECT_EQ(written(error_message{first.id, {.code = errc::handler_failed, .text = "no \xFF", .stack = "s"}}),
            "{\"type\":\"error\",\"slotName\":\"echo\",\"param\":\"p\",\"id\":\"abc\",\"message\":\"no "
            "?\",\"stack\":\"s\"}\n");
  EXPECT_EQ(written(response{first.id, encode(std::string{"late"})}), ""); // answered before
}

TEST_F(NodeIpc, AnAnswerWithoutJsonFormLeavesTheRequestOpenForAnError) {
  feed("{\"type\":\"request\",\"slotName\":\"half\",\"id\":\"1\",\"data\":1}\n");
  const auto call = get<request>();
  EXPECT_THAT(written(response{call.id, encode(std::numeric_limits<double>::infinity())}),
              HasSubstr("is no JSON number"));
  EXPECT_THAT(written(error_message{call.id, {.text = "x"}}), HasSubstr("\"type\":\"error\""));
}

TEST_F(NodeIpc, ARequestThatDoesNotFitIsAnsweredAtOnce) {
  feed("{\"type\":\"request\",\"slotName\":\"half\",\"id\":\"a\",\"data\":\"x\"}\n"
       "{\"type\":\"request\",\"slotName\":\"half\",\"id\":\"b\",\"data\":9007199254740993}\n"
       "{\"type\":\"request\",\"slotName\":\"ping\",\"id\":\"c\",\"data\":1}\n");
  EXPECT_FALSE(next());
  EXPECT_FALSE(codec_.error());
  EXPECT_THAT(replies(), HasSubstr(R"("id":"a","message":"the JSON does not fit the type: an integer was expected)"));
  EXPECT_THAT(replies(), HasSubstr("9007199254740993 is beyond 2^53 - 1"));
  EXPECT_THAT(replies(), HasSubstr("a request without data was expected, int64 came"));
}

TEST_F(NodeIpc, ARequestForASlotThatIsNotDeclaredIsLeftToTheBus) {
  feed("{\"type\":\"request\",\"slotName\":\"other\",\"id\":\"1\",\"data\":5}\n");
  EXPECT_EQ(get<request>().slot, "other");
}

TEST_F(NodeIpc, WhatIsNotOfTheBusIsSkipped) {
  feed("{\"cmd\":\"NODE_SLAVE\"}\n{\"type\":\"error\",\"text\":\"x\"}\n{\"type\":\"event_list\"}"
       "\n\"ready\"\n17\nnull\n[]\n{\"type\":\"ready\"}\n{\"type\":5}\n{}\n"
       "{\"type\":\"response\",\"slotName\":\"echo\",\"id\":\"not ours\",\"data\":\"x\"}\n"
       "{\"type\":\"handler_registered\",\"slotName\":\"echo\",\"param\":\"p\"}\n");
  EXPECT_EQ(get<handler_registered>(), (handler_registered{"echo", "p"}));
  EXPECT_EQ(replies(), "");
}

TEST_F(NodeIpc, AHandleIsRefusedSoThatNodeGoesOn) {
  feed("{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":{}}\n");
  EXPECT_FALSE(next());
  EXPECT_EQ(replies(), "{\"cmd\":\"NODE_HANDLE_NACK\"}\n");
}

TEST_F(NodeIpc, WhatIsNoJsonEndsTheLink) {
  for (const char* line : {"{", "nonsense", "{} {}", "{\"type\":\"event_list\",\"ignoredEvents\":[1]}",
                           "{\"type\":\"request\",\"slotName\":\"echo\"}",
                           "{\"type\":\"chunk_start\",\"chunkId\":\"x\"}", "\"\xFF\"", "\"\\ud800\"", ""}) {
    json_link_codec codec{10'000, forms};
    codec.feed(as_bytes_view(std::string{line} + "\n{\"type\":\"handler_registered\",\"slotName\":\"a\"}\n"));
    EXPECT_FALSE(codec.next(replies_)) << line;
    EXPECT_EQ(code_of(codec.error()), errc::protocol_error) << line;
    EXPECT_FALSE(codec.next(replies_)) << line;
    EXPECT_FALSE(codec.mid_message()) << line;
  }
}

TEST_F(NodeIpc, DoublesAreReadToTheLastBit) {
  random_source random;
  SCOPED_TRACE(random.trace());
  for (int i = 0; i < 5000; ++i) {
    double x = 0;
    const auto bits = random.random_bytes(sizeof x);
    std::memcpy(&x, bits.data(), sizeof x);
    if (i % 2 == 0 || !std::isfinite(x))
      x = static_cast<double>(random.below(std::size_t{1} << 53)) / static_cast<double>(std::size_t{1} << 53);
    std::array<char, 40> text{};
    const auto* end = std::to_chars(text.data(), text.data() + text.size(), x).ptr;
    feed("{\"type\":\"request\",\"slotName\":\"number\",\"id\":\"1\",\"data\":" +
         std::string{static_cast<const char*>(text.data()), end} + "}\n");
    ASSERT_EQ(*decode<double>(get<request>().data), x);
  }
}

TEST_F(NodeIpc, ANumberBeyondEveryDoubleIsAnErrorOfItsCall) {
  feed("{\"type\":\"request\",\"slotName\":\"number\",\"id\":\"1\",\"data\":1e400}\n");
  EXPECT_FALSE(next());
  EXPECT_FALSE(codec_.error());
  EXPECT_THAT(replies(), HasSubstr("out of range"));
}

TEST_F(NodeIpc, TheValuesOfOneMessageAreBounded) {
  json_link_codec codec{std::size_t{64} << 20, forms};
  std::string line = "[";
  for (std::size_t i = 0; i < json_values_max; ++i)
    line += "0,";
  codec.feed(as_bytes_view(line + "0]\n"));
  EXPECT_FALSE(codec.next(replies_));
  EXPECT_THAT(describe(codec.error()), HasSubstr("more than 4194304 values"));
}

TEST_F(NodeIpc, NamesAreBoundedAsInFrames) {
  for (const char* field : {"slotName", "param", "id"}) {
    json_link_codec codec{std::size_t{1} << 20, forms};
    boost::json::object msg{{"type", "request"}, {"slotName", "echo"}, {"param", "p"}, {"id", "1"}, {"data", "x"}};
    msg[field] = std::string(json_name_bytes_max + 1, 'x');
    codec.feed(as_bytes_view(boost::json::serialize(msg) + "\n"));
    EXPECT_FALSE(codec.next(replies_)) << field;
    EXPECT_THAT(describe(codec.error()), HasSubstr("a name of more than 65535 bytes"));
  }
}

TEST_F(NodeIpc, AnErrorThatIsTooLargeGetsThroughWithoutItsText) {
  feed("{\"type\":\"request\",\"slotName\":\"echo\",\"id\":\"a\",\"data\":\"x\"}\n");
  const auto call = get<request>();
  EXPECT_THAT(written(error_message{call.id, {.text = std::string(20'000, 'x')}}),
              HasSubstr("\"id\":\"a\",\"message\":\"the call failed, and what it says of that is too large"));
}

TEST_F(NodeIpc, AParameterThatIsNoUtf8IsNotAnnounced) {
  EXPECT_THAT(written(handler_registered{"echo", "\xFF"}), HasSubstr("UTF-8"));
}

TEST_F(NodeIpc, FormsMayBecomeKnownLater) {
  std::shared_ptr<const json_forms> known;
  json_link_codec codec{10'000, [&known] { return known; }};
  std::vector<char> out;
  EXPECT_TRUE(codec.write(out, request{1, "ping"}));
  known = forms();
  EXPECT_FALSE(codec.write(out, request{1, "ping"}));
}

TEST_F(NodeIpc, NestingIsBounded) {
  feed(std::string(json_depth_max + 1, '[') + std::string(json_depth_max + 1, ']') + "\n");
  EXPECT_FALSE(next());
  EXPECT_EQ(code_of(codec_.error()), errc::protocol_error);
}

TEST_F(NodeIpc, HalfALineIsTheMiddleOfAMessage) {
  feed("{\"type\":\"handler_regi");
  EXPECT_FALSE(next());
  EXPECT_TRUE(codec_.mid_message());
  feed("stered\",\"slotName\":\"echo\"}\n");
  EXPECT_EQ(get<handler_registered>().slot, "echo");
  EXPECT_FALSE(codec_.mid_message());
}

TEST_F(NodeIpc, MessagesComeHoweverTheirBytesWereSplit) {
  std::string text;
  for (int i = 0; i < 20; ++i)
    text += "{\"type\":\"response\",\"slotName\":\"echo\",\"id\":\"" + std::to_string(i) + "\",\"data\":\"" +
            std::string(static_cast<std::size_t>(7 * i), 'x') + "\"}\n";
  for (std::size_t size = 1; size < 200; ++size) {
    json_link_codec codec{10'000, forms};
    call_id expected = 0;
    for (std::size_t at = 0; at < text.size(); at += size) {
      codec.feed(as_bytes_view(std::string_view{text}.substr(at, size)));
      while (auto msg = codec.next(replies_)) {
        ASSERT_EQ(std::get<response>(*msg).id, expected);
        ASSERT_EQ(decode<std::string>(std::get<response>(*msg).data)->size(), 7 * expected);
        ++expected;
      }
    }
    EXPECT_EQ(expected, 20U) << size;
    EXPECT_FALSE(codec.mid_message());
  }
}

TEST_F(NodeIpc, FlippedBitsNeverDoMoreThanFail) {
  const std::string line = R"({"type":"request","slotName":"move","id":"3","data":{"x":1,"y":2},"param":"p"})"
                           "\n";
  for (std::size_t i = 0; i < line.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      auto bad = line;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      json_link_codec codec{10'000, forms};
      codec.feed(as_bytes_view(bad));
      std::size_t messages = 0;
      while (codec.next(replies_))
        ++messages;
      EXPECT_LE(messages, 1U);
    }
}

} // namespace

} // namespace cluster_channel
