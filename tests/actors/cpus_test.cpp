// How many CPUs a pool counts on, from files as control groups have them.

#include <cluster_channel/actors/detail/cpus.hpp>
#include <cluster_channel/actors/pool_options.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <thread>

namespace cluster_channel::detail {

namespace {

class CpuQuota : public ::testing::Test {
public:
  CpuQuota() {
    auto name = (std::filesystem::temp_directory_path() / "cpu_quota_XXXXXX").string();
    if (!::mkdtemp(name.data()))
      throw std::runtime_error{"mkdtemp"};
    root_ = name;
  }
  ~CpuQuota() override {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  void file(const std::filesystem::path& name, const std::string& text) const {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream{root_ / name} << text;
  }

  std::optional<double> quota() const { return cpu_quota(root_); }

private:
  std::filesystem::path root_;
};

TEST_F(CpuQuota, IsNoneWithoutControlGroups) {
  EXPECT_EQ(quota(), std::nullopt);
  file("proc/self/cgroup", "0::/\n");
  EXPECT_EQ(quota(), std::nullopt);
  file("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), std::nullopt);
}

TEST_F(CpuQuota, IsTheLeastOfTheGroupAndThoseAboveIt) {
  file("proc/self/cgroup", "0::/a.slice/b.service\n");
  file("sys/fs/cgroup/a.slice/b.service/cpu.max", "max 100000\n");
  file("sys/fs/cgroup/a.slice/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota(), 1.5);
  file("sys/fs/cgroup/a.slice/b.service/cpu.max", "50000 100000\n");
  EXPECT_EQ(quota(), 0.5);
}

TEST_F(CpuQuota, IsFoundInAContainerThatSeesTheNamesOutside) {
  file("proc/self/cgroup", "0::/docker/4711\n");
  file("sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 2.0);
}

TEST_F(CpuQuota, IsReadFromVersionOneToo) {
  file("proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/x\n3:cpuset:/x\n");
  file("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n");
  file("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), std::nullopt);
  file("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "250000\n");
  EXPECT_EQ(quota(), 2.5);
  file("proc/self/cgroup", "4:cpu:/y\n");
  file("sys/fs/cgroup/cpu/y/cpu.cfs_quota_us", "100000\n");
  file("sys/fs/cgroup/cpu/y/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 1.0);
}

TEST_F(CpuQuota, OfFilesThatMakeNoSenseIsNone) {
  for (const auto* text : {"", "x", "100000", "0 100000", "-5 100000", "100000 0", "100000 x"}) {
    file("proc/self/cgroup", "0::/\nnonsense\n:\n");
    file("sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(quota(), std::nullopt) << text;
  }
}

TEST(UsableCpus, AreThoseOfTheProcessNotThoseOfAPinnedThread) {
  const auto all = usable_cpus();
  std::size_t pinned = 0;
  std::size_t nodes = 0;
  std::thread{[&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &one);
    ::sched_setaffinity(0, sizeof one, &one);
    pinned = usable_cpus();
    nodes = with_defaults({}).nodes;
  }}.join();
  EXPECT_EQ(pinned, all);
  EXPECT_EQ(nodes, all);
}

TEST(UsableCpus, AreOneOfAProcessThatMayUseOneOnly) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &one);
  ::sched_setaffinity(0, sizeof one, &one);
  EXPECT_EQ(usable_cpus(), 1U);
  EXPECT_EQ(with_defaults({}).nodes, 1U);
  ::sched_setaffinity(0, sizeof before, &before);
}

} // namespace

} // namespace cluster_channel::detail
