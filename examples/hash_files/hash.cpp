#include <openssl/evp.h>

#include "events.hpp"
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace hash_files {

namespace {

class open_file {
public:
  explicit open_file(const std::string& path) : fd_{::open(path.c_str(), O_RDONLY | O_CLOEXEC)} {}
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  ~open_file() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  int fd() const noexcept { return fd_; }

private:
  int fd_;
};

std::string reason() {
  return std::generic_category().message(errno);
}

std::string hex(const unsigned char* data, std::size_t size) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string result;
  result.reserve(2 * size);
  for (std::size_t i = 0; i < size; ++i) {
    result += digits[data[i] >> 4];
    result += digits[data[i] & 15];
  }
  return result;
}

file_hash hash_file(const std::string& path) {
  file_hash result;
  const open_file file{path};
  if (file.fd() < 0) {
    result.error = reason();
    return result;
  }
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
  if (!digest || EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) != 1) {
    result.error = "OpenSSL has no SHA-256";
    return result;
  }
  std::array<unsigned char, 64 * 1024> buffer; // NOLINT: filled by read
  for (;;) {
    const auto n = ::read(file.fd(), buffer.data(), buffer.size());
    if (n == 0)
      break;
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {
      result.error = reason();
      return result;
    }
    EVP_DigestUpdate(digest.get(), buffer.data(), static_cast<std::size_t>(n));
    result.size += static_cast<std::uint64_t>(n);
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  unsigned int size = 0;
  EVP_DigestFinal_ex(digest.get(), sum.data(), &size);
  result.sha256 = hex(sum.data(), size);
  return result;
}

std::vector<file_hash> hash_batch(const batch& request) {
  std::vector<file_hash> result;
  result.reserve(request.paths.size());
  for (const auto& path : request.paths)
    result.push_back(hash_file(path));
  return result;
}

} // namespace

void serve_hash(events& bus) {
  bus.hash.on(hash_batch);
}

} // namespace hash_files
