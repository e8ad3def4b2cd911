// What a process host gives a child, what it signals, and which step of a launch it blames: over real processes.

#include <cluster_channel/actors/detail/cpus.hpp>
#include <cluster_channel/actors/process_host.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "process_kit.hpp"
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <thread>

namespace cluster_channel {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

#if defined(__SANITIZE_THREAD__)
constexpr bool vfork_is_a_fork = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr bool vfork_is_a_fork = true;
#else
constexpr bool vfork_is_a_fork = false;
#endif
#else
constexpr bool vfork_is_a_fork = false;
#endif

/// Lets this thread, and those that it starts, fail with `reason` in the system call `number`.
void deny(long number, int reason) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(reason)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(filter), filter};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    throw std::runtime_error{"no seccomp"};
}

/// The error of a launch in a master that may not call `number`.
std::string denied(long number, output_mode output = output_mode::forward, int reason = EPERM) {
  return in_forked_master([&] {
    deny(number, reason);
    auto spec = shell("exit 0");
    spec.output = output;
    return text_of(fail_to_launch(spec)) + (no_children() ? "" : ", and a process is left");
  });
}

TEST(Launch, NamesTheStepThatFailed) {
  fail_to_launch({.executable = "nope_nope_nope"}); // UBSan opens a pipe to look at a type: before it may not
  const std::string start = "cannot launch /bin/sh: ";
  EXPECT_EQ(denied(SYS_socketpair), start + "socketpair: Operation not permitted");
  EXPECT_EQ(denied(SYS_pipe2), start + "pipe: Operation not permitted");
  EXPECT_EQ(denied(SYS_pidfd_open), start + "pidfd_open: Operation not permitted");
  EXPECT_EQ(denied(SYS_dup3), start + "dup: Operation not permitted");
  EXPECT_EQ(denied(SYS_setpgid), start + "setpgid: Operation not permitted");
  EXPECT_EQ(denied(SYS_openat, output_mode::drop, ENOENT), start + "/dev/null: No such file or directory");
  EXPECT_EQ(denied(SYS_openat, output_mode::inherit, ENOENT), start + "/dev/null: No such file or directory");
  if (!vfork_is_a_fork) {
    EXPECT_EQ(denied(SYS_vfork), start + "vfork: Operation not permitted");
  }
}

TEST(Launch, GivesTheChildAGroupOfItsOwnUnlessToldNotTo) {
  event_log events;
  auto spec = shell("read x <&3");
  auto host = make_process_host(spec, events.listener());
  host->launch(1);
  const auto own = events.wait_for<process_started>(1).pid;
  EXPECT_EQ(::getpgid(own), own);
  host.reset();

  event_log more;
  spec.own_group = false;
  host = make_process_host(spec, more.listener());
  host->launch(1);
  EXPECT_EQ(::getpgid(more.wait_for<process_started>(1).pid), ::getpgrp());
  host.reset();
}

TEST(Launch, SignalsReachWhatTheChildHasStarted) {
  event_log events;
  auto host = make_process_host(shell("sleep 1000 & echo >&3; wait; sleep 1000"), events.listener());
  host->launch(1);
  const auto link = events.wait_for<process_started>(1).link_fd;
  char ready = 0;
  ASSERT_EQ(::read(link, &ready, 1), 1);
  host->signal(1, SIGTERM);
  EXPECT_EQ(events.wait_for<process_exited>(1).status, killed_by(SIGTERM));
  EXPECT_EQ(read_all(link), "") << "nobody holds the child's end";
}

TEST(Launch, KillsWhatAChildLeavesThatWasToldToEnd) {
  event_log events;
  // The program of a wrapper script, deaf to SIGTERM; the wrapper itself is not.
  auto host = make_process_host(shell("(trap '' TERM; echo >&3; sleep 1000; sleep 1000) & trap 'exit 7' TERM; wait"),
                                events.listener());
  host->launch(1);
  const auto link = events.wait_for<process_started>(1).link_fd;
  char ready = 0;
  ASSERT_EQ(::read(link, &ready, 1), 1);
  host->signal(1, SIGTERM);
  events.wait_for<process_exited>(1);
  EXPECT_EQ(read_all(link), "");
}

TEST(Launch, KillsWhatAChildLeavesThatDiedOfASignal) {
  event_log events;
  auto host = make_process_host(shell("sleep 1000 & kill -SEGV $$"), events.listener());
  host->launch(1);
  const auto link = events.wait_for<process_started>(1).link_fd;
  EXPECT_EQ(events.wait_for<process_exited>(1).status, killed_by(SIGSEGV));
  EXPECT_EQ(read_all(link), "");
}

TEST(Launch, LeavesAloneWhatAChildLeavesThatEndsByItself) {
  event_log events;
  line_log lines;
  auto spec = shell("(read x <&3; echo $x) & exit 0");
  spec.on_output = lines.callback();
  auto host = make_process_host(spec, events.listener());
  host->launch(1);
  const auto link = events.wait_for<process_started>(1).link_fd;
  events.wait_for<process_exited>(1);
  ASSERT_EQ(::write(link, "alive\n", 6), 6);
  EXPECT_EQ(lines.wait_for(1).front().text, "alive");
}

TEST(Launch, KeepsPipesOfTheLastChildrenThatLeftSomethingBehindOnly) {
  constexpr std::size_t left_max = 32;
  constexpr std::size_t children = 40;
  const auto before = open_fds().size();
  event_log events;
  line_log lines;
  auto spec = shell("(echo left; cat <&3 >/dev/null) & exit 0"); // until its link is closed
  spec.on_output = lines.callback();
  auto host = make_process_host(spec, events.listener());
  for (node_id node = 1; node <= children; ++node) {
    host->launch(node);
    events.wait_for<process_exited>(node);
    lines.wait_for(node);
  }
  const auto until = std::chrono::steady_clock::now() + patience;
  constexpr std::size_t own = 6;
  const auto enough = before + own + children + left_max; // the links are ours
  while (open_fds().size() > enough && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  EXPECT_LE(open_fds().size(), enough);
}

TEST(Launch, LetsChildrenOfAPinnedThreadUseTheCpusOfTheProcess) {
  run seen;
  std::thread{[&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &one);
    ::sched_setaffinity(0, sizeof one, &one);
    seen = run_to_end({.executable = "nproc"});
  }}.join();
  EXPECT_THAT(seen.lines, ElementsAre(std::to_string(detail::cpu_set::of_process().count())));
}

TEST(Launch, KnowsHowAChildEndedThatTheProgramReapedItselfWhereTheKernelTells) {
  event_log events;
  auto host = make_process_host(shell("read x <&3; exit 9"), events.listener());
  host->launch(1);
  const auto pid = events.wait_for<process_started>(1).pid;
  ::kill(pid, SIGSTOP); // until somebody waits for it
  std::thread reaper{[pid] {
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WSTOPPED | WNOWAIT);
    ::kill(pid, SIGCONT);
    ::waitpid(pid, nullptr, 0); // races with the host
  }};
  events.close_link(1);
  reaper.join();
  const auto status = events.wait_for<process_exited>(1).status;
  EXPECT_TRUE(status == exited(9) || (!kernel_tells_exits() && status == exited(-1)));
}

// -- a program that is its own child --------------------------------------------

/// Runs this program from a copy of its file, with only `test`, and returns what it says.
std::string run_a_copy(const std::string& test) {
  const temporary_directory directory;
  const auto copy = directory.path() / "copy of the program";
  std::filesystem::copy_file(this_executable(), copy);
  std::string result;
  const auto done =
      run_to_end({.executable = copy.string(), .args = {"--gtest_also_run_disabled_tests", "--gtest_filter=" + test}});
  for (const auto& line : done.lines)
    result += line + "\n";
  return result;
}

/// Puts another program in the place of this one's file.
void replace_this_executable() {
  const std::string path = this_executable();
  std::ofstream{path + ".new"} << "#!/bin/sh\necho another program\n";
  ::chmod((path + ".new").c_str(), 0755);
  std::filesystem::rename(path + ".new", path);
}

std::string first_words_of_child(bool own_image) {
  const auto seen =
      run_to_end({.executable = this_executable(), .args = {"--gtest_list_tests"}, .own_image = own_image});
  return joined(seen.lines);
}

TEST(OwnImage, IsCalledByItsPath) {
  EXPECT_EQ(std::filesystem::canonical("/proc/self/exe"), this_executable());
}

TEST(DISABLED_InACopy, OfItsOwn) {
  replace_this_executable();
  std::cout << "own image: " << first_words_of_child(true) << '\n';
  std::cout << "file: " << first_words_of_child(false) << '\n';
  std::filesystem::remove(this_executable());
  std::cout << "deleted: " << first_words_of_child(true) << '\n';
}

TEST(DISABLED_InACopy, ThatWasReplacedBefore) {
  const auto path = std::filesystem::read_symlink("/proc/self/exe").string();
  std::filesystem::remove(path);
  std::cout << (this_executable() == path ? "the same" : "another: " + this_executable()) << '\n';
}

TEST(OwnImage, RunsThoughItsFileWasReplacedOrDeleted) {
  const auto seen = run_a_copy("DISABLED_InACopy.OfItsOwn");
  EXPECT_THAT(seen, HasSubstr("own image: Running main"));
  EXPECT_THAT(seen, HasSubstr("file: another program\n"));
  EXPECT_THAT(seen, HasSubstr("deleted: Running main"));
}

TEST(OwnImage, HasItsPathAlsoWhenTheFileIsGoneAlready) {
  EXPECT_THAT(run_a_copy("DISABLED_InACopy.ThatWasReplacedBefore"), HasSubstr("the same\n"));
}

TEST(OwnImage, IsNamedByItsPathInItsArguments) {
  EXPECT_THAT(text_of(fail_to_launch({.executable = this_executable() + "/nothing"})), HasSubstr(this_executable()));
  event_log events;
  auto host = make_process_host({.executable = this_executable(),
                                 .args = {"--gtest_filter=DISABLED_InACopy.Waits", "--gtest_also_run_disabled_tests"}},
                                events.listener());
  host->launch(1);
  const auto cmdline = "/proc/" + std::to_string(events.wait_for<process_started>(1).pid) + "/cmdline";
  std::string name;
  // While exec replaces the memory there is none to read the arguments from.
  const auto until = std::chrono::steady_clock::now() + patience;
  while (name.empty() && std::chrono::steady_clock::now() < until) {
    std::ifstream in{cmdline};
    std::getline(in, name, '\0');
  }
  EXPECT_EQ(name, this_executable());
}

TEST(DISABLED_InACopy, Waits) {
  char end = 0;
  [[maybe_unused]] const auto n = ::read(3, &end, 1);
}

} // namespace

} // namespace cluster_channel
