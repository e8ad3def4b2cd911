// Values on their way to JavaScript and back.

#include "../serialization/random.hpp"
#include "node_pool.hpp"
#include <cmath>
#include <limits>

namespace node_test {

namespace {

using ::testing::HasSubstr;

using NodePayload = NodeTest;
CLUSTER_CHANNEL_EACH_VERSION(NodePayload);

TEST_P(NodePayload, StringsComeBackWhateverIsInThem) {
  const auto& bus = make();
  using namespace std::string_literals;
  for (const auto& text : {""s, "plain"s, "\"quoted\" \\ \n\r\t"s, "zero \0 byte"s, "\xE2\x82\xAC \xF0\x9F\x98\x80"s,
                           "\xE2\x80\xA8 line separator"s, "__proto__"s})
    EXPECT_EQ(value_of(bus.echo_string(text)), text);
}

TEST_P(NodePayload, IntegersComeBackAsFarAsJavaScriptHoldsThem) {
  const auto& bus = make();
  for (const std::int64_t x : {std::int64_t{0}, std::int64_t{-1}, (std::int64_t{1} << 53) - 1,
                               -(std::int64_t{1} << 53) + 1, std::int64_t{4'294'967'296}})
    EXPECT_EQ(value_of(bus.echo_integer(x)), x);
}

TEST_P(NodePayload, AnIntegerThatJavaScriptWouldRoundIsAnErrorInBothDirections) {
  const auto& bus = make();
  for (const auto x :
       {std::int64_t{1} << 53, std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    const auto what = failed(bus.echo_integer(x));
    EXPECT_EQ(what.code, errc::bad_payload);
    EXPECT_THAT(what.text, HasSubstr(std::to_string(x) + " is beyond 2^53 - 1"));
  }
  EXPECT_THAT(failed(bus.run_for_integer("return 2 ** 53")).text, HasSubstr("beyond 2^53 - 1"));
  EXPECT_THAT(failed(bus.run_for_integer("return 1e300")).text, HasSubstr("beyond 2^53 - 1"));
  EXPECT_EQ(value_of(bus.run_for_integer("return 2 ** 53 - 1")), (std::int64_t{1} << 53) - 1);
}

TEST_P(NodePayload, AnIntegerIsNeverMadeOfAFraction) {
  const auto& bus = make();
  EXPECT_THAT(failed(bus.run_for_integer("return 1.5")).text, HasSubstr("an integer was expected"));
  EXPECT_EQ(value_of(bus.run_for_integer("return 3.0")), 3);
}

TEST_P(NodePayload, NumbersComeBackToTheLastBit) {
  const auto& bus = make();
  cluster_channel::test::random_source random;
  SCOPED_TRACE(random.trace());
  for (int i = 0; i < 200; ++i) {
    const auto x = static_cast<double>(random.below(std::size_t{1} << 53)) / static_cast<double>(std::size_t{1} << 53);
    EXPECT_EQ(value_of(bus.echo_number(x)), x);
  }
  for (const auto x : {0.1, -1.5, 1e308, 5e-324, 1.0 / 3, 123456789.125, std::numeric_limits<double>::max()})
    EXPECT_EQ(value_of(bus.echo_number(x)), x);
}

TEST_P(NodePayload, InfinityAndNanAreErrors) {
  const auto& bus = make();
  EXPECT_THAT(failed(bus.echo_number(std::numeric_limits<double>::infinity())).text, HasSubstr("no JSON number"));
  EXPECT_THAT(failed(bus.echo_number(std::nan(""))).text, HasSubstr("no JSON number"));
  EXPECT_THAT(failed(bus.run_for_integer("return NaN")).text, HasSubstr("null came"))
      << "what JSON.stringify makes of it";
}

TEST_P(NodePayload, BoolsListsAndMapsComeBack) {
  const auto& bus = make();
  EXPECT_TRUE(value_of(bus.echo_bool(true)));
  EXPECT_FALSE(value_of(bus.echo_bool(false)));
  EXPECT_EQ(value_of(bus.echo_list({})), std::vector<int>{});
  EXPECT_EQ(value_of(bus.echo_list({1, -2, std::numeric_limits<int>::max()})),
            (std::vector<int>{1, -2, std::numeric_limits<int>::max()}));
  const std::map<std::string, std::string> map{{"", "empty"}, {"a b", "\xC3\xA4"}, {"toString", "x"}};
  EXPECT_EQ(value_of(bus.echo_map(map)), map);
}

TEST_P(NodePayload, AnEmptyOptionalIsNullAndUndefined) {
  const auto& bus = make();
  EXPECT_EQ(value_of(bus.echo_optional(7)), std::optional{7});
  EXPECT_EQ(value_of(bus.echo_optional(std::nullopt)), std::nullopt);
  EXPECT_EQ(value_of(bus.run_for_optional("return undefined")), std::nullopt);
  EXPECT_EQ(value_of(bus.run_for_optional("return null")), std::nullopt);
  EXPECT_EQ(value_of(bus.run_for_optional("return 5")), std::optional{5});
}

TEST_P(NodePayload, StructsComeBackWhole) {
  const auto& bus = make();
  order x{.number = 17,
          .how_large = size::large,
          .items = {{"cup", 2.5, "blue"}, {"plate", 0, {}}},
          .table = {{"a", {1, 2}}, {"b", {}}},
          .tag = "urgent",
          .gift = item{"spoon", 1, {}},
          .paid = true};
  EXPECT_EQ(value_of(bus.echo_order(x)), x);
  EXPECT_EQ(value_of(bus.echo_order({})), order{});
}

TEST_P(NodePayload, BytesComeBackAlsoAsABufferOfNodes) {
  const auto& bus = make();
  std::vector<std::byte> all;
  for (int i = 0; i < 256; ++i)
    all.push_back(static_cast<std::byte>(i));
  EXPECT_EQ(value_of(bus.echo_bytes(all)), all);
}

TEST_P(NodePayload, VoidIsUndefined) {
  const auto& bus = make();
  EXPECT_TRUE(succeeded(bus.nothing()));
  EXPECT_TRUE(succeeded(bus.run_for_nothing("return undefined")));
  EXPECT_TRUE(succeeded(bus.run_for_nothing("return null")));
  EXPECT_TRUE(succeeded(bus.run_for_nothing("return [1, 2].push(3)"))) << "as a void function of TypeScript may";
}

TEST_P(NodePayload, AnAnswerOfAnotherTypeFailsItsCallAlone) {
  const auto& bus = make();
  const auto what = failed(bus.run("return 17"));
  EXPECT_EQ(what.code, errc::bad_payload);
  EXPECT_THAT(what.text, HasSubstr("a string was expected, int64 came"));
  EXPECT_EQ(what.slot, "run");
  EXPECT_THAT(failed(bus.run("return undefined")).text, HasSubstr("no data"));
  EXPECT_EQ(value_of(bus.run("return 'fine'")), "fine");
  EXPECT_EQ(channel->stats().ready_nodes, 1U);
}

TEST_P(NodePayload, AStringThatIsNoUtf8IsRefusedBeforeItIsSent) {
  const auto& bus = make();
  const auto what = failed(bus.echo_string("\xFF\xFE"));
  EXPECT_EQ(what.code, errc::bad_payload);
  EXPECT_THAT(what.text, HasSubstr("UTF-8"));
  EXPECT_EQ(value_of(bus.echo_string("fine")), "fine");
}

TEST_P(NodePayload, TenMegabytesGoBothWays) {
  const auto& bus = make();
  std::string text;
  text.resize(10'000'000, 'x');
  for (std::size_t i = 0; i < text.size(); i += 1000)
    text[i] = static_cast<char>('a' + i / 1000 % 26);
  EXPECT_EQ(value_of(bus.echo_string(text)), text);
}

TEST_P(NodePayload, AMessageBeyondTheLimitFailsItsCallAlone) {
  auto options = node_options();
  options.frame_bytes_max = 10'000;
  const auto& bus = make(std::move(options));
  EXPECT_EQ(failed(bus.echo_string(std::string(10'000, 'x'))).code, errc::message_too_large);
  EXPECT_EQ(value_of(bus.echo_string("fine")), "fine");
}

} // namespace

} // namespace node_test
