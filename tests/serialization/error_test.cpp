#include <cluster_channel/serialization/error.hpp>

#include <caf/exit_reason.hpp>
#include <caf/expected.hpp>
#include <caf/pec.hpp>
#include <caf/sec.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace cluster_channel {

namespace {

using ::testing::HasSubstr;

TEST(Error, EveryCodeHasItsOwnName) {
  std::set<std::string> names;
  for (int code = 0; code <= static_cast<int>(errc::protocol_mismatch); ++code) {
    const auto name = to_string(static_cast<errc>(code));
    EXPECT_EQ(name.find("unknown"), std::string::npos) << code;
    EXPECT_TRUE(names.insert(name).second) << name;
  }
  EXPECT_EQ(to_string(errc::buffer_full), "buffer_full");
}

TEST(Error, CodeOfALaterVersionIsRendered) {
  EXPECT_EQ(to_string(static_cast<errc>(200)), "unknown error 200");
}

TEST(Error, FailureComesBackOutOfAnError) {
  const failure what{.code = errc::node_died,
                     .slot = "multiply",
                     .param = "p",
                     .text = "Node closed, code: 1, signal: 0",
                     .stack = "at line 1",
                     .node = 3,
                     .pid = 77,
                     .exit_code = 1,
                     .ran_for = std::chrono::milliseconds{2}};
  const auto err = make_error(what);
  EXPECT_TRUE(err);
  EXPECT_EQ(err.category(), error_category);
  EXPECT_EQ(failure_of(err), what);
  EXPECT_EQ(code_of(err), errc::node_died);
}

TEST(Error, ShortFormHoldsCodeAndText) {
  const auto err = make_error(errc::buffer_full, "1024 calls wait");
  EXPECT_EQ(failure_of(err), (failure{.code = errc::buffer_full, .text = "1024 calls wait"}));
  EXPECT_EQ(describe(err), "buffer_full: 1024 calls wait");
}

TEST(Error, NoErrorIsNothing) {
  EXPECT_EQ(failure_of({}), failure{});
  EXPECT_EQ(code_of({}), errc::none);
  EXPECT_EQ(describe({}), "");
}

TEST(Error, FactsFollowTheTextWhereKnown) {
  EXPECT_EQ(to_string(failure{.code = errc::node_died,
                              .slot = "add",
                              .param = "$_DEFAULT_$",
                              .text = "Node disconnected",
                              .node = 3,
                              .pid = 77,
                              .signal = 9,
                              .ran_for = std::chrono::microseconds{1500}}),
            "node_died: Node disconnected (slot add, param $_DEFAULT_$, node 3, pid 77, signal 9, ran for 1500 us)");
  EXPECT_THAT(to_string(failure{.code = errc::node_died, .text = "x", .exit_code = 0}), HasSubstr("exit code 0"));
}

TEST(Error, StackComesOnItsOwnLines) {
  EXPECT_EQ(to_string(failure{.code = errc::handler_failed, .text = "x", .stack = "at f\nat g"}),
            "handler_failed: x\nat f\nat g");
}

TEST(Error, RequestTimeoutOfCafIsTimedOut) {
  EXPECT_EQ(code_of(caf::sec::request_timeout), errc::timed_out);
  EXPECT_EQ(failure_of(caf::sec::request_timeout),
            (failure{.code = errc::timed_out, .text = caf::to_string(caf::sec::request_timeout)}));
}

TEST(Error, ReceiverDownOfCafIsChannelClosed) {
  EXPECT_EQ(code_of(caf::sec::request_receiver_down), errc::channel_closed);
  EXPECT_EQ(failure_of(caf::sec::request_receiver_down).code, errc::channel_closed);
}

TEST(Error, TextOfACafRuntimeErrorIsTakenAsItIs) {
  const auto what = failure_of(caf::make_error(caf::sec::runtime_error, std::string{"it \"broke\""}));
  EXPECT_EQ(what, (failure{.code = errc::handler_failed, .text = "it \"broke\""}));
}

TEST(Error, OtherCafErrorsAreNamedWithTheirContext) {
  EXPECT_EQ(failure_of(caf::sec::unexpected_message).text, caf::to_string(caf::sec::unexpected_message));
  EXPECT_EQ(failure_of(caf::make_error(caf::sec::invalid_argument, std::string{"n"})).text,
            caf::to_string(caf::sec::invalid_argument) + ": n");
  EXPECT_EQ(failure_of(caf::make_error(caf::sec::invalid_argument, 1, std::string{"n"})).text,
            caf::to_string(caf::sec::invalid_argument) + R"((1, "n"))");
  EXPECT_EQ(failure_of(caf::exit_reason::kill).text, caf::to_string(caf::exit_reason::kill));
  EXPECT_EQ(code_of(caf::exit_reason::kill), errc::handler_failed);
}

TEST(Error, ErrorOfAUsersCategoryIsHandlerFailed) {
  const caf::error err{4, caf::atom("bank"), caf::make_message(std::string{"no money"})};
  EXPECT_EQ(failure_of(err), (failure{.code = errc::handler_failed, .text = "bank error 4: no money"}));
  EXPECT_EQ(failure_of(caf::error(4, caf::atom("bank"))).text, "bank error 4");
}

TEST(Error, OwnCategoryWithoutAFailureKeepsItsCode) {
  const caf::error err{static_cast<std::uint8_t>(errc::buffer_full), error_category,
                       caf::make_message(std::string{"full"})};
  EXPECT_EQ(failure_of(err), (failure{.code = errc::buffer_full, .text = "buffer_full: full"}));
}

} // namespace

} // namespace cluster_channel
