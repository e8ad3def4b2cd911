// The process host over real processes: what children are given, how they end, what they print, and what is left.
//
// Most children are one-line scripts for /bin/sh. Tests wait for events with a deadline, never for a time, and leave no
// process behind: a shell that is killed must have no child of its own then.

#include <cluster_channel/actors/detail/child_setup.hpp>
#include <cluster_channel/actors/detail/output_forwarder.hpp>
#include <cluster_channel/actors/process_host.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "process_kit.hpp"
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <poll.h>
#include <set>
#include <sstream>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

/// Prints the descriptors of the shell that runs it; what follows keeps the shell from becoming `ls`.
constexpr const char* list_descriptors = "ls /proc/$$/fd; true";

// -- how processes end --------------------------------------------------------

TEST(ProcessHost, TellsExitCodeNineFromSigkill) {
  EXPECT_EQ(run_to_end(shell("exit 9")).status, exited(9));
  EXPECT_EQ(run_to_end(shell("kill -9 $$")).status, killed_by(SIGKILL));
}

TEST(ProcessHost, ReportsExitCodesUnchanged) {
  for (const auto code : {0, 1, 127, 128, 137, 255})
    EXPECT_EQ(run_to_end(shell("exit " + std::to_string(code))).status, exited(code));
}

TEST(ProcessHost, ReportsOneStartAndOneEndForEachOfAHundredConcurrentLaunches) {
  event_log events;
  auto host = make_process_host(shell("exit 7"), events.listener());
  std::vector<std::thread> threads;
  for (node_id first = 1; first <= 76; first += 25)
    threads.emplace_back([&host, first] {
      for (auto node = first; node < first + 25; ++node)
        host->launch(node);
    });
  for (auto& thread : threads)
    thread.join();
  for (node_id node = 1; node <= 100; ++node)
    EXPECT_EQ(events.wait_for<process_exited>(node).status, exited(7));
  EXPECT_TRUE(no_children());
  std::map<node_id, std::string> story;
  for (const auto& event : events.all()) {
    if (const auto* x = std::get_if<process_started>(&event))
      story[x->node] += "started ";
    else if (const auto* y = std::get_if<process_exited>(&event))
      story[y->node] += "exited ";
  }
  EXPECT_EQ(story.size(), 100U);
  for (const auto& [node, text] : story)
    EXPECT_EQ(text, "started exited ") << node;
}

TEST(ProcessHost, LaunchesAgainFromItsListener) {
  event_log events;
  std::unique_ptr<process_host> host;
  std::promise<void> ready;
  auto is_ready = ready.get_future().share();
  auto listener = [&, log = events.listener()](process_event event) {
    is_ready.wait();
    if (const auto* x = std::get_if<process_exited>(&event); x && x->node < 5)
      host->launch(x->node + 1);
    log(std::move(event));
  };
  host = make_process_host(shell("exit 0"), listener);
  ready.set_value();
  host->launch(1);
  EXPECT_EQ(events.wait_for<process_exited>(5).status, exited(0));
}

TEST(ProcessHost, SendsSignals) {
  event_log events;
  line_log lines;
  auto spec = shell("trap 'echo got USR1; exit 3' USR1; echo ready; while :; do read x <&3; done");
  spec.on_output = lines.callback();
  auto host = make_process_host(spec, events.listener());
  host->launch(1);
  host->launch(2);
  lines.wait_for(2);
  host->signal(1, SIGUSR1);
  EXPECT_EQ(events.wait_for<process_exited>(1).status, exited(3));
  host->signal(2, SIGTERM);
  EXPECT_EQ(events.wait_for<process_exited>(2).status, killed_by(SIGTERM));
}

TEST(ProcessHost, IgnoresSignalsToReapedAndUnknownNodes) {
  event_log events;
  auto host = make_process_host(shell("read x <&3"), events.listener());
  host->launch(1);
  host->launch(2);
  events.wait_for<process_started>(1);
  events.close_link(1);
  events.wait_for<process_exited>(1);
  host->signal(1, SIGKILL);
  host->signal(77, SIGKILL);
  host->signal(2, 12345);
  events.wait_for<process_started>(2);
  events.close_link(2);
  EXPECT_EQ(events.wait_for<process_exited>(2).status, exited(1));
}

TEST(ProcessHost, SaysThatItDoesNotKnowTheStatusIfTheProgramIgnoresSigchld) {
  struct sigaction old {};
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGCHLD, &ignore, &old);
  event_log events;
  auto host = make_process_host(shell("read x <&3; exit 9"), events.listener());
  host->launch(1);
  events.wait_for<process_started>(1);
  host->signal(1, 0);
  events.close_link(1);
  EXPECT_EQ(events.wait_for<process_exited>(1).status, kernel_tells_exits() ? exited(9) : exited(-1));
  host.reset();
  ::sigaction(SIGCHLD, &old, nullptr);
}

TEST(ProcessHost, SaysWhyItDoesNotKnowAProcessThatEndsAtOnceIfTheProgramIgnoresSigchld) {
  struct sigaction old {};
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGCHLD, &ignore, &old);
  event_log events;
  auto host = make_process_host({.executable = "/bin/true"}, events.listener());
  for (node_id node = 1; node <= 50; ++node)
    host->launch(node);
  host.reset();
  ::sigaction(SIGCHLD, &old, nullptr);
  for (const auto& event : events.all()) // which one each launch ends in depends on who is faster
    if (const auto* failed = std::get_if<process_failed>(&event)) {
      EXPECT_THAT(text_of(*failed), HasSubstr("ignores SIGCHLD"));
      EXPECT_FALSE(failed->permanent);
    }
  EXPECT_EQ(events.count<process_started>() + events.count<process_failed>(), 50U);
  EXPECT_EQ(events.count<process_started>(), events.count<process_exited>());
}

TEST(ProcessHost, KillsAndReapsWhatStillRunsWhenDestroyed) {
  event_log events;
  line_log lines;
  auto spec = shell("trap '' TERM INT HUP; echo ready; exec sleep 1000");
  spec.on_output = lines.callback();
  auto host = make_process_host(spec, events.listener());
  for (node_id node = 1; node <= 5; ++node)
    host->launch(node);
  lines.wait_for(5);
  host.reset();
  EXPECT_TRUE(no_children());
  EXPECT_EQ(events.count<process_exited>(), 5U);
  for (node_id node = 1; node <= 5; ++node)
    EXPECT_EQ(events.wait_for<process_exited>(node).status, killed_by(SIGKILL));
}

TEST(ProcessHost, EndsEveryLaunchThatWasAskedForBeforeItsDestruction) {
  event_log events;
  auto host = make_process_host({.executable = "sleep", .args = {"1000"}}, events.listener());
  for (node_id node = 1; node <= 20; ++node)
    host->launch(node);
  host.reset();
  EXPECT_TRUE(no_children());
  EXPECT_EQ(events.count<process_started>(), 20U);
  EXPECT_EQ(events.count<process_exited>(), 20U);
}

TEST(ProcessHost, LetsNoChildOutliveAMasterThatIsKilled) {
  const auto report = make_pipe();
  const auto master = ::fork();
  if (master == 0) {
    event_log events;
    auto host = make_process_host({.executable = "sleep", .args = {"1000"}}, events.listener());
    host->launch(1);
    const auto pid = events.wait_for<process_started>(1).pid;
    [[maybe_unused]] const auto n = ::write(report.write(), &pid, sizeof pid);
    for (;;)
      ::pause();
  }
  std::int32_t child = 0;
  ASSERT_EQ(::read(report.read(), &child, sizeof child), static_cast<ssize_t>(sizeof child));
  const auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  ASSERT_GE(pidfd, 0);
  ::kill(master, SIGKILL);
  ::waitpid(master, nullptr, 0);
  pollfd ended{pidfd, POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, static_cast<int>(std::chrono::milliseconds{patience}.count())), 1);
  ::close(pidfd);
  ::close(report.read());
  ::close(report.write());
}

// -- descriptors --------------------------------------------------------------

TEST(ProcessHost, LeaksNoDescriptorIntoChild) {
  std::vector<int> leaky;
  for (const auto number : {4, 5, 9, 10, 11, 40, 500, 1000})
    leaky.push_back(::fcntl(STDERR_FILENO, F_DUPFD, number));
  for (const auto mode : {output_mode::forward, output_mode::inherit, output_mode::drop}) {
    auto spec = shell(list_descriptors);
    spec.output = mode;
    EXPECT_THAT(run_to_end(spec).lines, ElementsAre("0", "1", "2", "3"));
  }
  for (const auto fd : leaky)
    ::close(fd);
}

TEST(ProcessHost, LeavesNoDescriptorBehind) {
  const auto before = open_fds();
  {
    event_log events;
    auto host = make_process_host(shell("echo out; echo err >&2; read x <&3"), events.listener());
    for (node_id node = 1; node <= 10; ++node)
      host->launch(node);
    for (node_id node = 1; node <= 5; ++node) {
      events.wait_for<process_started>(node);
      events.close_link(node);
      events.wait_for<process_exited>(node);
    }
    host.reset(); // five still run
    fail_to_launch({.executable = "./nope"});
    fail_to_launch({.executable = "nope_nope_nope"});
    auto spec = shell("exit 0");
    spec.working_directory = "/nope";
    fail_to_launch(spec);
  }
  EXPECT_EQ(open_fds(), before);
}

TEST(ProcessHost, LeavesNoZombieAndNoDescriptorAfterAHundredLaunches) {
  const auto before = open_fds();
  {
    event_log events;
    line_log lines;
    auto spec = shell("echo out; echo err >&2; exit 0");
    spec.on_output = lines.callback();
    auto host = make_process_host(spec, events.listener());
    for (node_id node = 1; node <= 100; ++node) {
      host->launch(node);
      EXPECT_EQ(events.wait_for<process_exited>(node).status, exited(0));
      EXPECT_TRUE(no_children()); // while the host lives: reaped before it is told
      events.close_link(node);
    }
    host.reset();
    EXPECT_EQ(lines.all().size(), 200U);
    EXPECT_EQ(events.count<process_started>(), 100U);
    EXPECT_EQ(events.count<process_exited>(), 100U); // nothing is told twice, not even at the end
  }
  EXPECT_EQ(open_fds(), before);
}

TEST(ProcessHost, GivesBackTheDescriptorsOfAChildThatEnded) {
  event_log events;
  auto host = make_process_host(shell("echo line >/dev/null; read x <&3"), events.listener());
  const auto run_one = [&](node_id node) {
    host->launch(node);
    events.wait_for<process_started>(node);
    events.close_link(node);
    events.wait_for<process_exited>(node);
  };
  // The ends of the pipes are seen on another thread, maybe after the end of the process.
  const auto wait_for_count = [](auto wanted) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!wanted(open_fds().size()) && std::chrono::steady_clock::now() < until)
      std::this_thread::yield();
    return open_fds().size();
  };
  const auto before = open_fds().size();
  run_one(
      1); // opens what the host itself needs, too: an epoll, an event and a timer descriptor for each of its threads
  constexpr std::size_t own = 6;
  EXPECT_EQ(wait_for_count([&](std::size_t n) { return n <= before + own; }), before + own);
  for (node_id node = 2; node <= 20; ++node)
    run_one(node);
  EXPECT_EQ(wait_for_count([&](std::size_t n) { return n <= before + own; }), before + own);
}

TEST(ProcessHost, GivesTheChildItsLinkAsDescriptorThree) {
  event_log events;
  line_log lines;
  auto spec = shell("echo $CLUSTER_CHANNEL_FD; read x <&3; echo \"pong $x\" >&3");
  spec.on_output = lines.callback();
  auto host = make_process_host(spec, events.listener());
  host->launch(1);
  const auto link = events.wait_for<process_started>(1).link_fd;
  EXPECT_TRUE(::fcntl(link, F_GETFD) & FD_CLOEXEC);
  EXPECT_FALSE(::fcntl(link, F_GETFL) & O_NONBLOCK);
  int type = 0;
  socklen_t size = sizeof type;
  EXPECT_EQ(::getsockopt(link, SOL_SOCKET, SO_TYPE, &type, &size), 0);
  EXPECT_EQ(type, SOCK_STREAM);
  ASSERT_EQ(::write(link, "ping\n", 5), 5);
  EXPECT_EQ(read_all(link), "pong ping\n"); // and the end of file: nobody else holds the child's end
  EXPECT_EQ(lines.wait_for(1).front().text, "3");
}

TEST(ProcessHost, SeesTheEndOfALinkThoughOtherChildrenRun) {
  event_log events;
  auto host = make_process_host(shell("read x <&3"), events.listener());
  for (node_id node = 1; node <= 3; ++node)
    host->launch(node);
  events.wait_for<process_started>(3);
  const auto link = events.wait_for<process_started>(2).link_fd;
  host->signal(2, SIGKILL);
  EXPECT_EQ(read_all(link), "");
}

TEST(ProcessHost, GivesTheChildTheMastersStdinIfToldSo) {
  const auto in = make_pipe();
  ASSERT_EQ(::write(in.write(), "first\nsecond\n", 13), 13);
  ::close(in.write());
  replaced_fd stdin_now{STDIN_FILENO, in.read()};
  ::close(in.read());
  EXPECT_THAT(run_to_end(shell("cat")).lines, ElementsAre()) << "/dev/null is the default";
  auto spec = shell("cat");
  spec.input = input_mode::inherit;
  EXPECT_THAT(run_to_end(spec).lines, ElementsAre("first", "second"));
}

TEST(ProcessHost, WorksInAMasterWithoutStandardDescriptors) {
  for (const auto mode : {output_mode::forward, output_mode::inherit, output_mode::drop})
    for (int closed = 1; closed < 8; ++closed) {
      SCOPED_TRACE("mode " + std::to_string(static_cast<int>(mode)) + ", closed " + std::to_string(closed));
      const auto seen = in_forked_master([mode, closed] {
        for (int fd = 0; fd < 3; ++fd)
          if (closed & (1 << fd))
            ::close(fd);
        event_log events;
        auto spec = shell("read x <&3; echo out; echo err >&2; echo $x >&3; exec sleep 1000");
        spec.output = mode;
        auto host = make_process_host(spec, events.listener());
        host->launch(1);
        const auto [node, pid, link] = events.wait_for<process_started>(1);
        char answer[5] = {};
        if (::write(link, "ping\n", 5) != 5 || ::recv(link, answer, sizeof answer, MSG_WAITALL) != 5)
          return std::string{"the link does not work"};
        // Maybe not at once: the loader of `sleep` opens libraries.
        const auto until = std::chrono::steady_clock::now() + patience;
        auto fds = open_fds(pid);
        while (fds != std::set{0, 1, 2, 3} && std::chrono::steady_clock::now() < until)
          fds = open_fds(pid);
        std::string result;
        for (const auto fd : fds)
          result += std::to_string(fd) + " ";
        return result + std::string{answer, 4};
      });
      EXPECT_EQ(seen, "0 1 2 3 ping");
    }
}

TEST(ProcessHost, HandsOnOutputInAMasterWithoutStandardDescriptors) {
  const auto seen = in_forked_master([] {
    for (int fd = 0; fd < 3; ++fd)
      ::close(fd);
    return joined(run_to_end(shell("readlink /proc/$$/fd/0; echo out; echo err >&2")).lines);
  });
  EXPECT_THAT(seen, HasSubstr("/dev/null"));
  EXPECT_THAT(seen, HasSubstr("out"));
  EXPECT_THAT(seen, HasSubstr("err"));
}

TEST(ProcessHost, ForwardsNothingIntoAFileThatHappensToHaveTheNumberOfAClosedStdout) {
  const auto seen = in_forked_master([] {
    ::close(STDOUT_FILENO);
    const auto file = ::memfd_create("somebody else's", MFD_CLOEXEC);
    event_log events;
    auto host = make_process_host(shell("echo out"), events.listener());
    host->launch(1);
    events.wait_for<process_exited>(1);
    host.reset();
    return "descriptor " + std::to_string(file) + ", bytes " + std::to_string(::lseek(file, 0, SEEK_END));
  });
  EXPECT_EQ(seen, "descriptor 1, bytes 0");
}

TEST(ProcessHost, ClosesDescriptorsWithoutTheSystemCallForIt) {
  const auto seen = in_forked_master([] {
    for (const auto number : {4, 5, 6, 40, 500, 1000})
      ::fcntl(STDERR_FILENO, F_DUPFD, number);
    detail::close_each_from(5, 99); // the pipe of this test is number 100
    detail::close_each_from(101);
    std::string result;
    for (const auto fd : open_fds())
      result += std::to_string(fd) + " ";
    return result;
  });
  EXPECT_THAT(seen, HasSubstr(" 4 100 "));
  EXPECT_THAT(seen, Not(HasSubstr(" 500 ")));
  EXPECT_THAT(seen, Not(HasSubstr(" 1000 ")));
}

TEST(ProcessHost, CallsALackOfDescriptorsPassingWhereverItIsMet) {
  // UBSan opens a pipe to look at the type of an object, once for each type: so once before there are none left.
  fail_to_launch({.executable = "nope_nope_nope"});
  EXPECT_THROW(detail::output_forwarder{nullptr}.watch(-1), boost::system::system_error);

  for (const auto mode : {output_mode::forward, output_mode::inherit, output_mode::drop})
    for (const auto warm : {true, false}) { // not: the first launch opens what the host itself needs, too
      std::size_t failures = 0;
      for (std::size_t spare = 0; spare < 24; ++spare) {
        SCOPED_TRACE("mode " + std::to_string(static_cast<int>(mode)) + ", spare " + std::to_string(spare));
        event_log events;
        auto spec = shell("exit 0");
        spec.output = mode;
        auto host = make_process_host(spec, events.listener());
        if (warm) {
          host->launch(100);
          events.wait_for<process_exited>(100);
        }
        const auto seen_before = events.all().size();
        std::optional<few_descriptors> few{spare};
        host->launch(1);
        const auto event = events.wait_for_index(seen_before);
        few.reset();
        if (const auto* failed = std::get_if<process_failed>(&event)) {
          ++failures;
          EXPECT_FALSE(failed->permanent);
          EXPECT_THAT(text_of(*failed),
                      MatchesRegex("cannot launch /bin/sh: (/dev/null|[a-z_]+): Too many open files"));
          EXPECT_TRUE(no_children());
          host->launch(2);
          EXPECT_EQ(events.wait_for<process_exited>(2).status, exited(0));
        } else {
          EXPECT_EQ(events.wait_for<process_exited>(1).status, exited(0));
        }
      }
      EXPECT_GT(failures, 3U);
      EXPECT_LT(failures, 20U);
    }
}

// -- what is launched ---------------------------------------------------------

TEST(ProcessHost, SaysThatAnExecutableIsMissing) {
  const auto failed = fail_to_launch({.executable = "./nope"});
  EXPECT_EQ(code_of(failed.cause), errc::launch_failed);
  EXPECT_EQ(text_of(failed), "cannot launch ./nope: No such file or directory");
  EXPECT_TRUE(failed.permanent);
  EXPECT_EQ(failed.node, 1U);
}

TEST(ProcessHost, SaysThatAnExecutableIsNotInThePath) {
  const auto failed = fail_to_launch({.executable = "nope_nope_nope"});
  EXPECT_EQ(text_of(failed), "cannot launch nope_nope_nope: No such file or directory");
  EXPECT_TRUE(failed.permanent);
}

TEST(ProcessHost, DoesNotRunAFileThatIsInNoDirectoryOfThePath) {
  temporary_directory here;
  here.file("only_here", "#!/bin/sh\nexit 0\n", 0755);
  const auto failed = fail_to_launch({.executable = "only_here", .working_directory = here.path()});
  EXPECT_EQ(text_of(failed), "cannot launch only_here: No such file or directory");
}

TEST(ProcessHost, SaysThatAnExecutableIsADirectory) {
  temporary_directory here;
  const auto failed = fail_to_launch({.executable = here.path()});
  EXPECT_EQ(text_of(failed), "cannot launch " + here.path().string() + ": Is a directory");
  EXPECT_TRUE(failed.permanent);
}

TEST(ProcessHost, SaysThatAFileIsNotExecutable) {
  temporary_directory here;
  const auto file = here.file("plain", "#!/bin/sh\nexit 0\n", 0644);
  const auto failed = fail_to_launch({.executable = file});
  EXPECT_EQ(text_of(failed), "cannot launch " + file + ": Permission denied");
  EXPECT_TRUE(failed.permanent);
  set_variable path{"PATH", here.path().c_str()};
  EXPECT_EQ(text_of(fail_to_launch({.executable = "plain"})), "cannot launch plain: Permission denied");
}

TEST(ProcessHost, SaysThatAScriptHasNoInterpreterLine) {
  temporary_directory here;
  const auto file = here.file("script", "exit 0\n", 0755);
  const auto failed = fail_to_launch({.executable = file});
  EXPECT_EQ(text_of(failed), "cannot launch " + file + ": Exec format error");
  EXPECT_TRUE(failed.permanent);
}

TEST(ProcessHost, SaysThatTheInterpreterOfAScriptIsMissing) {
  temporary_directory here;
  const auto file = here.file("script", "#!/nope/nope\n", 0755);
  const auto failed = fail_to_launch({.executable = file});
  EXPECT_EQ(text_of(failed), "cannot launch " + file + ": its interpreter or loader: No such file or directory");
  EXPECT_TRUE(failed.permanent);
}

TEST(ProcessHost, CallsAnExecutableThatIsBeingWrittenPassing) {
  temporary_directory here;
  const auto file = (here.path() / "program").string();
  std::filesystem::copy_file("/bin/true", file);
  const auto writer = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  const auto failed = fail_to_launch({.executable = file});
  ::close(writer);
  EXPECT_EQ(text_of(failed), "cannot launch " + file + ": Text file busy");
  EXPECT_FALSE(failed.permanent);
}

TEST(ProcessHost, SaysWhichWorkingDirectoryIsGone) {
  auto spec = shell("exit 0");
  {
    temporary_directory here;
    spec.working_directory = here.path();
    EXPECT_FALSE(validate(spec));
  }
  const auto failed = fail_to_launch(spec);
  EXPECT_EQ(code_of(failed.cause), errc::launch_failed);
  EXPECT_EQ(text_of(failed),
            "cannot launch /bin/sh: working directory " + spec.working_directory + ": No such file or directory");
  EXPECT_TRUE(failed.permanent);
}

TEST(ProcessHost, TakesAPathWithASlashRelativeToTheMastersDirectory) {
  temporary_directory here;
  std::filesystem::create_directory(here.path() / "bin");
  here.file("bin/program", "#!/bin/sh\npwd -P\n", 0755);
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(here.path());
  const auto seen = run_to_end({.executable = "bin/program", .working_directory = "/"});
  std::filesystem::current_path(before);
  EXPECT_THAT(seen.lines, ElementsAre("/"));
}

TEST(ProcessHost, LooksTheExecutableUpInTheMastersPath) {
  temporary_directory here;
  for (const auto* name : {"first", "second", "third", "fourth"})
    std::filesystem::create_directory(here.path() / name);
  here.file("first/program", "#!/bin/sh\necho first\n", 0644);
  std::filesystem::create_directory(here.path() / "second/program");
  here.file("third/program", "#!/bin/sh\necho third\n", 0755);
  here.file("fourth/program", "#!/bin/sh\necho fourth\n", 0755);
  std::string path = "/nope";
  for (const auto* name : {"first", "second", "third", "fourth"})
    path += ":" + (here.path() / name).string();
  set_variable now{"PATH", path.c_str()};
  process_spec spec{.executable = "program"};
  spec.environment.set["PATH"] = "/nope"; // the child's, not the master's
  EXPECT_THAT(run_to_end(spec).lines, ElementsAre("third"));
}

TEST(ProcessHost, TakesAnEmptyEntryOfThePathAsTheMastersDirectory) {
  temporary_directory here;
  here.file("program", "#!/bin/sh\necho here\n", 0755);
  const auto before = std::filesystem::current_path();
  for (const auto* path : {"", ":/nope", "/nope:", "/nope::/nope"}) {
    std::filesystem::current_path(here.path());
    set_variable now{"PATH", path};
    const auto seen = run_to_end({.executable = "program", .working_directory = "/"});
    std::filesystem::current_path(before);
    EXPECT_THAT(seen.lines, ElementsAre("here")) << path;
  }
}

TEST(ProcessHost, PassesArgumentsUnchanged) {
  const std::vector<std::string> args{"", "two words", " ", "$HOME", "'\"\\", "-n", "*", "", "\xc3\xbc\xff"};
  const auto seen = run_to_end(shell("for x; do printf '<%s>\\n' \"$x\"; done", args));
  std::vector<std::string> expected;
  for (const auto& arg : args)
    expected.push_back("<" + arg + ">");
  EXPECT_EQ(seen.lines, expected);
}

TEST(ProcessHost, SaysThatArgumentsAreTooLong) {
  const auto failed = fail_to_launch({.executable = "/bin/true", .args = {std::string(std::size_t{4} << 20, 'x')}});
  EXPECT_EQ(text_of(failed), "cannot launch /bin/true: Argument list too long");
  EXPECT_TRUE(failed.permanent);
}

TEST(ProcessHost, StartsInTheWorkingDirectory) {
  temporary_directory here;
  auto spec = shell("pwd -P");
  EXPECT_THAT(run_to_end(spec).lines, ElementsAre(std::filesystem::current_path().string()));
  spec.working_directory = here.path();
  EXPECT_THAT(run_to_end(spec).lines, ElementsAre(std::filesystem::canonical(here.path()).string()));
}

TEST(ProcessHost, MakesTheEnvironmentFromTheMastersThenSetThenUnset) {
  set_variable kept{"PROCESS_HOST_KEPT", "kept"};
  set_variable replaced{"PROCESS_HOST_REPLACED", "old"};
  set_variable removed{"PROCESS_HOST_REMOVED", "removed"};
  set_variable link{"CLUSTER_CHANNEL_FD", "77"};
  process_spec spec{.executable = "env"};
  spec.environment.set = {
      {"PROCESS_HOST_REPLACED", "new=\nvalue"}, {"PROCESS_HOST_ADDED", ""}, {"PROCESS_HOST_BOTH", "x"}};
  spec.environment.unset = {"PROCESS_HOST_REMOVED", "PROCESS_HOST_BOTH", "PROCESS_HOST_UNKNOWN", "CLUSTER_CHANNEL_FD"};
  const auto lines = run_to_end(spec).lines;
  EXPECT_THAT(lines, IsSupersetOf({"PROCESS_HOST_KEPT=kept", "PROCESS_HOST_REPLACED=new=", "value",
                                   "PROCESS_HOST_ADDED=", "CLUSTER_CHANNEL_FD=3"}));
  EXPECT_THAT(joined(lines), Not(HasSubstr("PROCESS_HOST_REMOVED")));
  EXPECT_THAT(joined(lines), Not(HasSubstr("PROCESS_HOST_BOTH")));
  EXPECT_THAT(joined(lines), Not(HasSubstr("old")));
  EXPECT_THAT(joined(lines), Not(HasSubstr("77")));
}

TEST(ProcessHost, StartsFromNoEnvironmentIfToldSo) {
  process_spec spec{.executable = "env"};
  spec.environment.inherit = false;
  spec.environment.set = {{"A", "1"}};
  EXPECT_THAT(run_to_end(spec).lines,
              UnorderedElementsAre("A=1", "CLUSTER_CHANNEL_FD=3", StartsWith("CLUSTER_CHANNEL_LINK=")));
}

TEST(ProcessHost, GivesEveryChildTheEnvironmentOfTheTimeWhenItWasMade) {
  event_log events;
  line_log lines;
  auto spec = shell("echo \"<$PROCESS_HOST_LATE>\"");
  spec.on_output = lines.callback();
  auto host = make_process_host(spec, events.listener());
  set_variable late{"PROCESS_HOST_LATE", "set"};
  host->launch(1);
  EXPECT_EQ(lines.wait_for(1).front().text, "<>");
}

// -- signals of the child -----------------------------------------------------

TEST(ProcessHost, StartsTheChildWithDefaultSignals) {
  struct sigaction handler {};
  handler.sa_handler = [](int) {};
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  const std::map<int, struct sigaction> wanted{{SIGTERM, handler}, {SIGUSR1, handler}, {SIGRTMIN + 3, handler},
                                               {SIGPIPE, ignore},  {SIGHUP, ignore},   {SIGCHLD, ignore}};
  std::map<int, struct sigaction> before;
  for (const auto& [signo, action] : wanted)
    ::sigaction(signo, &action, &before[signo]);
  sigset_t blocked;
  sigset_t mask_before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &mask_before);

  const auto in = make_pipe(); // keeps the child from ending before its end can be watched, see SIGCHLD above
  std::optional<replaced_fd> stdin_now{std::in_place, STDIN_FILENO, in.read()};
  event_log events;
  line_log lines;
  process_spec spec{.executable = "cat", .args = {"/proc/self/status", "-"}, .input = input_mode::inherit};
  spec.on_output = lines.callback();
  auto host = make_process_host(spec, events.listener());
  host->launch(1);
  events.wait_for<process_started>(1);
  stdin_now.reset();
  ::close(in.read());
  ::close(in.write());
  events.wait_for<process_exited>(1);
  host.reset();

  ::pthread_sigmask(SIG_SETMASK, &mask_before, nullptr);
  for (const auto& [signo, action] : before)
    ::sigaction(signo, &action, nullptr);
  std::map<std::string, std::string> seen;
  for (const auto& line : texts_of(lines.all()))
    seen[line.substr(0, line.find(':'))] = line.substr(line.find('\t') + 1);
  EXPECT_EQ(seen["SigBlk"], "0000000000000000");
  EXPECT_EQ(seen["SigCgt"], "0000000000000000");
  EXPECT_EQ(seen["SigIgn"], "0000000000000001"); // SIGHUP stays ignored, as nohup(1) wants it
}

TEST(ProcessHost, LeavesTheMastersSignalsAsTheyWere) {
  static std::atomic<int> handled = 0;
  struct sigaction handler {};
  handler.sa_handler = [](int) { ++handled; };
  struct sigaction before {};
  ::sigaction(SIGUSR1, &handler, &before);
  sigset_t mask_before;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask_before);
  event_log events;
  auto host = make_process_host(shell("exit 0"), events.listener());
  for (node_id node = 1; node <= 20; ++node) {
    host->launch(node);
    ::kill(::getpid(), SIGUSR1);
    events.wait_for<process_exited>(node);
  }
  host.reset();
  sigset_t mask_after;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask_after);
  for (int signo = 1; signo < NSIG; ++signo)
    EXPECT_EQ(::sigismember(&mask_before, signo), ::sigismember(&mask_after, signo));
  struct sigaction after {};
  ::sigaction(SIGUSR1, &before, &after);
  EXPECT_EQ(after.sa_handler, handler.sa_handler);
  EXPECT_GE(handled, 1);
}

// -- output -------------------------------------------------------------------

TEST(ProcessHost, ForwardsEachLineWholeWithNodeAndPid) {
  fd_pair out{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, out.fds), 0); // each write is one packet
  std::map<std::string, int> counts;
  std::thread reader{[&] {
    char buffer[4096];
    while (const auto n = ::recv(out.read(), buffer, sizeof buffer, 0))
      if (n > 0)
        ++counts[std::string(buffer, static_cast<std::size_t>(n))];
  }};
  std::set<std::string> expected;
  {
    replaced_fd stdout_now{STDOUT_FILENO, out.write()};
    event_log events;
    const auto script = "i=0; while [ $i -lt 200 ]; do printf 'li'; printf 'ne %s\\n' $i; i=$((i+1)); done";
    auto host = make_process_host(shell(script), events.listener());
    for (node_id node = 1; node <= 4; ++node)
      host->launch(node);
    for (node_id node = 1; node <= 4; ++node) {
      events.wait_for<process_exited>(node);
      const auto pid = events.wait_for<process_started>(node).pid;
      for (int i = 0; i < 200; ++i)
        expected.insert("[node " + std::to_string(node) + " pid " + std::to_string(pid) + "] line " +
                        std::to_string(i) + "\n");
    }
    host.reset();
  }
  ::close(out.write());
  reader.join();
  ::close(out.read());
  EXPECT_EQ(counts.size(), expected.size());
  for (const auto& line : expected)
    EXPECT_EQ(counts[line], 1) << line;
}

TEST(ProcessHost, ForwardsStdoutToStdoutAndStderrToStderr) {
  const auto out = ::memfd_create("out", MFD_CLOEXEC);
  const auto err = ::memfd_create("err", MFD_CLOEXEC);
  {
    replaced_fd stdout_now{STDOUT_FILENO, out};
    replaced_fd stderr_now{STDERR_FILENO, err};
    event_log events;
    auto host = make_process_host(shell("echo to out; echo to err >&2; printf 'no newline'"), events.listener());
    host->launch(3);
    events.wait_for<process_exited>(3);
    host.reset();
  }
  ::lseek(out, 0, SEEK_SET);
  ::lseek(err, 0, SEEK_SET);
  EXPECT_THAT(read_all(out), MatchesRegex("\\[node 3 pid [0-9]+\\] to out\n\\[node 3 pid [0-9]+\\] no newline\n"));
  EXPECT_THAT(read_all(err), MatchesRegex("\\[node 3 pid [0-9]+\\] to err\n"));
  ::close(out);
  ::close(err);
}

TEST(ProcessHost, LeavesOutputToTheMastersDescriptorsIfToldSo) {
  const auto out = ::memfd_create("out", MFD_CLOEXEC);
  for (const auto mode : {output_mode::inherit, output_mode::drop}) {
    replaced_fd stdout_now{STDOUT_FILENO, out};
    replaced_fd stderr_now{STDERR_FILENO, out};
    event_log events;
    auto spec = shell("echo out " + std::to_string(static_cast<int>(mode)) + "; echo err >&2");
    spec.output = mode;
    auto host = make_process_host(spec, events.listener());
    host->launch(1);
    EXPECT_EQ(events.wait_for<process_exited>(1).status, exited(0));
  }
  ::lseek(out, 0, SEEK_SET);
  EXPECT_EQ(read_all(out), "out 1\nerr\n");
  ::close(out);
}

TEST(ProcessHost, TellsTheCallbackNodePidAndStream) {
  event_log events;
  line_log lines;
  auto spec = shell("echo a; echo b >&2");
  spec.on_output = lines.callback();
  spec.output = output_mode::drop; // the callback goes first
  auto host = make_process_host(spec, events.listener());
  host->launch(12);
  const auto pid = events.wait_for<process_started>(12).pid;
  for (const auto& line : lines.wait_for(2)) {
    EXPECT_EQ(line.node, 12U);
    EXPECT_EQ(line.pid, pid);
    EXPECT_EQ(line.text, line.stream == output_stream::out ? "a" : "b");
  }
}

TEST(ProcessHost, HandsOnTheLastLineOfADeadChildThoughItHasNoNewline) {
  EXPECT_THAT(run_to_end(shell("echo first; printf last; kill -9 $$")).lines, ElementsAre("first", "last"));
}

TEST(ProcessHost, KeepsBytesOtherThanTheNewline) {
  EXPECT_THAT(run_to_end(shell("printf 'a\\r\\n\\n\\000\\377\\n'")).lines,
              ElementsAre("a\r", "", std::string("\0\xff", 2)));
}

TEST(ProcessHost, HandsOnALongLineInPieces) {
  const auto seen = run_to_end(shell("head -c 200000 /dev/zero | tr '\\000' x; echo; echo end")).lines;
  ASSERT_EQ(seen.size(), 5U);
  std::string together;
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_LE(seen[i].size(), output_line_bytes_max);
    together += seen[i];
  }
  EXPECT_EQ(together, std::string(200000, 'x'));
  EXPECT_EQ(seen[4], "end");
}

TEST(ProcessHost, LosesNoLineOfADeadChildWhenItIsDestroyedAtOnce) {
  std::vector<std::string> expected;
  for (int i = 1; i <= 5000; ++i)
    expected.push_back(std::to_string(i));
  for (int round = 0; round < 30; ++round)
    ASSERT_EQ(run_to_end({.executable = "seq", .args = {"5000"}}).lines, expected);
}

TEST(ProcessHost, CanBeDestroyedInTheMiddleOfOutput) {
  for (int round = 0; round < 30; ++round) {
    event_log events;
    line_log lines;
    process_spec spec{.executable = "yes"};
    spec.on_output = lines.callback();
    auto host = make_process_host(spec, events.listener());
    host->launch(1);
    host->launch(2);
    lines.wait_for(1000);
    host.reset();
    for (const auto& line : lines.all())
      ASSERT_EQ(line.text, "y");
  }
  EXPECT_TRUE(no_children());
}

TEST(ProcessHost, IsNotHeldUpByAGrandchildThatKeepsThePipes) {
  event_log events;
  line_log lines;
  auto spec = shell("sleep 1000 & echo $!; echo last");
  spec.on_output = lines.callback();
  auto host = make_process_host(spec, events.listener());
  host->launch(1);
  EXPECT_EQ(events.wait_for<process_exited>(1).status, exited(0));
  host.reset();
  const auto seen = texts_of(lines.all());
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[1], "last");
  ::kill(std::stoi(seen[0]), SIGKILL);
}

TEST(ProcessHost, IsNotHeldUpByAGrandchildThatNeverStopsPrinting) {
  event_log events;
  line_log lines;
  auto spec = shell("yes & exit 4"); // ends by SIGPIPE when the host is gone
  spec.on_output = lines.callback();
  auto host = make_process_host(spec, events.listener());
  host->launch(1);
  EXPECT_EQ(events.wait_for<process_exited>(1).status, exited(4));
  lines.wait_for(1000);
  host.reset();
}

TEST(ProcessHost, LaunchesSignalsAndReapsWhileACallbackBlocks) {
  event_log events;
  std::promise<void> blocked;
  std::promise<void> go_on;
  auto spec = shell("echo line; read x <&3; exit 5");
  std::once_flag once;
  spec.on_output = [&](const output_line&) {
    std::call_once(once, [&] {
      blocked.set_value();
      go_on.get_future().wait_for(patience);
    });
  };
  auto host = make_process_host(spec, events.listener());
  host->launch(1);
  ASSERT_EQ(blocked.get_future().wait_for(patience), std::future_status::ready);
  host->launch(2);
  events.wait_for<process_started>(2);
  host->signal(2, SIGKILL);
  EXPECT_EQ(events.wait_for<process_exited>(2).status, killed_by(SIGKILL));
  events.close_link(1);
  EXPECT_EQ(events.wait_for<process_exited>(1).status, exited(5));
  go_on.set_value();
}

TEST(ProcessHost, StopsReadingWhileACallbackBlocksSoThatTheChildWaits) {
  event_log events;
  std::promise<void> blocked;
  std::promise<void> go_on;
  auto is_open = go_on.get_future().share();
  std::atomic<std::size_t> lines = 0;
  process_spec spec{.executable = "seq", .args = {"300000"}}; // 2 MB
  std::once_flag once;
  spec.on_output = [&](const output_line&) {
    std::call_once(once, [&] { blocked.set_value(); });
    is_open.wait_for(patience);
    ++lines;
  };
  auto host = make_process_host(spec, events.listener());
  host->launch(1);
  const auto pid = events.wait_for<process_started>(1).pid;
  const auto pipe = ::open(("/proc/" + std::to_string(pid) + "/fd/1").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(pipe, 0);
  // Before that, a full pipe may only mean that nothing was read yet.
  ASSERT_EQ(blocked.get_future().wait_for(patience), std::future_status::ready);
  const auto is_full = [pipe] {
    pollfd writable{pipe, POLLOUT, 0};
    return ::poll(&writable, 1, 0) == 0;
  };
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!is_full() && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  EXPECT_TRUE(is_full()); // and stays so: the only reader waits
  ::close(pipe);
  EXPECT_EQ(events.count<process_exited>(), 0U);
  go_on.set_value();
  EXPECT_EQ(events.wait_for<process_exited>(1).status, exited(0));
  host.reset();
  EXPECT_EQ(lines, 300000U);
}

TEST(ProcessHost, LaunchesAndReapsWhileNobodyReadsTheMastersStdout) {
  const auto out = make_pipe();
  std::string seen;
  std::thread reader;
  {
    replaced_fd stdout_now{STDOUT_FILENO, out.write()};
    event_log events;
    auto host = make_process_host(shell("seq 30000; echo done >&3; read x <&3"), events.listener());
    host->launch(1);
    const auto full = [&] {
      pollfd writable{out.write(), POLLOUT, 0};
      return ::poll(&writable, 1, 0) == 0;
    };
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!full() && std::chrono::steady_clock::now() < until)
      std::this_thread::yield();
    EXPECT_TRUE(full());
    host->launch(2);
    events.wait_for<process_started>(2);
    host->signal(2, SIGKILL);
    EXPECT_EQ(events.wait_for<process_exited>(2).status, killed_by(SIGKILL));
    reader = std::thread{[&] { seen = read_all(out.read()); }};
    char buffer[16];
    EXPECT_GT(::read(events.wait_for<process_started>(1).link_fd, buffer, sizeof buffer), 0);
    host.reset();
  }
  ::close(out.write());
  reader.join();
  ::close(out.read());
  EXPECT_THAT(seen, HasSubstr("] 30000\n"));
}

TEST(ProcessHost, LosesNothingOnANonBlockingStdout) {
  const auto out = make_pipe();
  ::fcntl(out.write(), F_SETFL, O_NONBLOCK);
  std::string seen;
  std::thread reader{[&] { seen = read_all(out.read()); }};
  {
    replaced_fd stdout_now{STDOUT_FILENO, out.write()};
    event_log events;
    auto host = make_process_host({.executable = "seq", .args = {"20000"}}, events.listener());
    host->launch(1);
    events.wait_for<process_exited>(1);
    host.reset();
  }
  ::close(out.write());
  reader.join();
  ::close(out.read());
  std::istringstream lines{seen};
  std::string line;
  for (int i = 1; i <= 20000; ++i) {
    std::getline(lines, line);
    ASSERT_EQ(line.substr(line.find("] ") + 2), std::to_string(i));
  }
}

TEST(ProcessHost, SurvivesAStdoutThatNobodyReadsAnyMore) {
  const auto out = make_pipe();
  ::close(out.read());
  {
    replaced_fd stdout_now{STDOUT_FILENO, out.write()};
    event_log events;
    auto host = make_process_host({.executable = "seq", .args = {"20000"}}, events.listener());
    host->launch(1);
    EXPECT_EQ(events.wait_for<process_exited>(1).status, exited(0));
  }
  ::close(out.write());
}

// -- validate -----------------------------------------------------------------

TEST(ProcessSpec, SaysWhichOptionIsUnusable) {
  const auto with_zero = std::string("a\0b", 3);
  const process_spec good{.executable = "child"};
  EXPECT_FALSE(validate(good));
  const auto text_of_changed = [&good](const std::function<void(process_spec&)>& change) {
    auto spec = good;
    change(spec);
    const auto err = validate(spec);
    EXPECT_EQ(code_of(err), err ? errc::invalid_options : errc::none);
    return failure_of(err).text;
  };
  const auto says = [&](const char* text, const std::function<void(process_spec&)>& change) {
    EXPECT_THAT(text_of_changed(change), StartsWith(text));
  };
  says("executable", [](process_spec& x) { x.executable = ""; });
  says("executable", [&](process_spec& x) { x.executable = with_zero; });
  says("args", [&](process_spec& x) { x.args = {"fine", with_zero}; });
  says("working_directory", [](process_spec& x) { x.working_directory = "/nope"; });
  says("working_directory", [](process_spec& x) { x.working_directory = "/bin/sh"; });
  says("working_directory", [&](process_spec& x) { x.working_directory = with_zero; });
  says("environment.set", [](process_spec& x) { x.environment.set = {{"", "x"}}; });
  says("environment.set", [](process_spec& x) { x.environment.set = {{"a=b", "x"}}; });
  says("environment.set", [&](process_spec& x) { x.environment.set = {{with_zero, "x"}}; });
  says("environment.set", [&](process_spec& x) { x.environment.set = {{"x", with_zero}}; });
  says("environment.set", [](process_spec& x) { x.environment.set = {{"CLUSTER_CHANNEL_FD", "3"}}; });
  says("environment.unset", [](process_spec& x) { x.environment.unset = {""}; });
  says("environment.unset", [](process_spec& x) { x.environment.unset = {"a=b"}; });
  says("environment.unset", [&](process_spec& x) { x.environment.unset = {with_zero}; });
}

TEST(ProcessSpec, AcceptsWhatIsUnusualButUsable) {
  process_spec spec{.executable = "./does not exist yet", .args = {"", "a b"}, .working_directory = "/"};
  spec.environment = {.inherit = false, .set = {{"A", "b=c"}, {"B", ""}}, .unset = {"UNKNOWN"}};
  EXPECT_FALSE(validate(spec));
}

} // namespace

} // namespace cluster_channel
