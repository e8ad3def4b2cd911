// Where pools are made, used and destroyed, each case a process of its own (lifetimes_program.cpp): what goes wrong
// there is a hang, or an abort at the end of the program.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <poll.h>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using ::testing::HasSubstr;

/// Longest time a case may take.
constexpr int deadline_ms = 60'000;

struct result {
  int status = 0; // as of waitpid(2)
  std::string text;
};

/// Runs the case `name` in a process of its own. One that takes too long is killed.
result run(const std::string& name) {
  std::array<int, 2> output{};
  EXPECT_EQ(::pipe(output.data()), 0);
  const auto pid = ::fork();
  if (pid == 0) {
    ::dup2(output[1], STDERR_FILENO);
    ::close(output[0]);
    ::close(output[1]);
    ::setenv("CLUSTER_CHANNEL_TEST_CASE", name.c_str(), 1);
    ::execl(CLUSTER_CHANNEL_LIFETIMES_PROGRAM, "lifetimes_program", nullptr);
    ::_exit(127);
  }
  ::close(output[1]);
  const auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  result x;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{deadline_ms};
  for (bool ended = false; !ended;) {
    std::array<pollfd, 2> ready{pollfd{pidfd, POLLIN, 0}, pollfd{output[0], POLLIN, 0}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (::poll(ready.data(), ready.size(), static_cast<int>(std::max<std::int64_t>(left.count(), 0))) == 0) {
      ADD_FAILURE() << name << " has not ended in time";
      ::kill(pid, SIGKILL);
    }
    std::array<char, 4096> some{};
    if ((ready[1].revents & POLLIN) != 0) {
      if (const auto size = ::read(output[0], some.data(), some.size()); size > 0)
        x.text.append(some.data(), static_cast<std::size_t>(size));
    } else if (ready[0].revents != 0) {
      ended = true;
    }
  }
  ::waitpid(pid, &x.status, 0);
  ::close(pidfd);
  ::close(output[0]);
  return x;
}

class Lifetimes : public ::testing::TestWithParam<const char*> {};

TEST_P(Lifetimes, EndWell) {
  const auto x = run(GetParam());
  EXPECT_TRUE(WIFEXITED(x.status)) << "signal " << WTERMSIG(x.status);
  EXPECT_EQ(WEXITSTATUS(x.status), EXIT_SUCCESS);
  EXPECT_EQ(x.text, "");
}

INSTANTIATE_TEST_SUITE_P(All, Lifetimes,
                         ::testing::Values("AGlobal", "AFunctionLocalStatic", "AStaticWhoseSystemMainUses",
                                           "MadeOnOneThreadAndDestroyedOnAnother", "UsedByAThreadThatLivesOn",
                                           "InASystemOfTheUsers", "DestroyedInAHandler",
                                           "DestroyedWithItsBusInAHandler", "DestroyedInOnResult", "DestroyedInThen",
                                           "DestroyedWhereOutputComes", "DestroyedInASystemOfTheUsers",
                                           "ClosedInAHandler", "ExitInAHandler", "ExitInOnResult", "ExitInThen",
                                           "AForkedCopyExits", "AForkedCopyUsesWhatItHasNot", "AChildForks",
                                           "WithoutThreads"),
                         [](const auto& each) { return std::string{each.param}; });

TEST(Lifetime, ClosingInOnResultEndsTheProgramWithAText) {
  const auto x = run("ClosedInOnResult");
  EXPECT_TRUE(WIFSIGNALED(x.status) && WTERMSIG(x.status) == SIGABRT);
  EXPECT_THAT(x.text, HasSubstr("close: called on the thread of the event loop"));
}

} // namespace
