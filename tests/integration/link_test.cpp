// The link to real children: what a crash costs, and messages near the limits.

#include "echo_pool.hpp"

namespace cluster_channel {

namespace {

using ::testing::HasSubstr;

TEST(Link, ACrashLosesNoAnswerOfAHandlerThatHadReturned) {
  for (const auto signo : {SIGKILL, SIGABRT}) {
    auto options = echo_options();
    options.nodes = 1;
    options.calls_per_node = 64;
    echo_pool pool{options};
    ASSERT_TRUE(pool.bus.echo("up").get(deadline));
    auto sleeps = pool.bus.sleep_ms(30); // meanwhile the others arrive, and are one batch
    std::vector<call<std::string>> before;
    for (int i = 0; i < 20; ++i)
      before.push_back(pool.bus.echo(std::to_string(i)));
    auto crash = pool.bus.crash(signo);
    auto after = pool.bus.echo("after");
    for (int i = 0; i < 20; ++i) {
      const auto answer = before[static_cast<std::size_t>(i)].get(deadline);
      ASSERT_TRUE(answer) << describe(answer.error());
      EXPECT_EQ(*answer, std::to_string(i));
    }
    EXPECT_TRUE(sleeps.get(deadline));
    EXPECT_EQ(failed(std::move(crash)).code, errc::node_died);
    EXPECT_EQ(failed(std::move(after)).code, errc::node_died);
  }
}

TEST(Link, ALimitThatIsRaisedAtTheMasterIsThatOfItsChildren) {
  auto options = echo_options();
  options.nodes = 1;
  options.frame_bytes_max = std::size_t{66} << 20;
  echo_pool pool{options};
  const std::string large((std::size_t{64} << 20) + 100, 'x'); // more than a child's own default once was
  const auto answer = pool.bus.echo(large).get(deadline);
  ASSERT_TRUE(answer) << describe(answer.error());
  EXPECT_TRUE(*answer == large);
  EXPECT_EQ(failed(pool.bus.echo(std::string(std::size_t{67} << 20, 'x'))).code, errc::message_too_large);
  EXPECT_TRUE(pool.bus.echo("small").get(deadline));
  EXPECT_EQ(pool.channel.stats().ready_nodes, 1U);
}

TEST(Link, ALongTextOfAFailureIsCutOnItsWay) {
  auto options = echo_options();
  options.nodes = 1;
  options.frame_bytes_max = 100'000;
  echo_pool pool{options};
  // Fits as a request; the text of its failure would not.
  const auto what = failed(pool.bus.fail(std::string(99'000, 'x')));
  EXPECT_EQ(what.code, errc::handler_failed);
  EXPECT_THAT(what.text, HasSubstr("xxx... [cut, 99000 bytes in all]"));
  EXPECT_TRUE(pool.bus.echo("small").get(deadline));
  EXPECT_EQ(pool.channel.stats().ready_nodes, 1U);
}

} // namespace

} // namespace cluster_channel
