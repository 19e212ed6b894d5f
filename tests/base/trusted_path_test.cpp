#include "base/trusted_path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <filesystem>
#include <string>
#include <tuple>

namespace http01::base {

BOOST_AUTO_TEST_SUITE(trusted_path)

namespace fs = std::filesystem;

constexpr int kCreate = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC;
constexpr uid_t kStranger = 54321;

struct TrustedDirectory {
  TrustedDirectory() {
    std::string form = (fs::temp_directory_path() / "http01-trusted-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(form.data()) != nullptr);
    path = form;
  }
  ~TrustedDirectory() { fs::remove_all(path); }

  // Of the stranger, where this user may give a link away.
  bool link(const fs::path& target, const std::string& name) const {
    fs::create_symlink(target, path / name);
    return ::lchown((path / name).c_str(), kStranger, kStranger) == 0;
  }
  int error_of(const std::string& name) const {
    const auto opened = open_trusted(path / name, kCreate, 0640);
    return opened ? 0 : opened.error().error;
  }

  fs::path path;
};

unsigned mode_of(const fs::path& path) {
  struct stat file {};
  BOOST_REQUIRE(::stat(path.c_str(), &file) == 0);
  return file.st_mode & 0777;
}

BOOST_AUTO_TEST_CASE(links_of_this_user_and_directories_lead_on) {
  const TrustedDirectory directory;
  fs::create_directories(directory.path / "real/sub");
  fs::create_directory_symlink("real", directory.path / "relative");
  fs::create_directory_symlink(directory.path / "real/sub", directory.path / "absolute");
  fs::create_symlink("absolute/../log", directory.path / "file");
  for (const char* const name :
       {"real/a", "relative/b", "absolute/c", "./real//./d", "real/sub/../e", "file"}) {
    BOOST_TEST(directory.error_of(name) == 0, name);
  }
  for (const char* const made :
       {"real/a", "real/b", "real/sub/c", "real/d", "real/e", "real/log"}) {
    BOOST_TEST(fs::is_regular_file(directory.path / made), made);
  }
}

BOOST_AUTO_TEST_CASE(missing_directories_are_made_and_not_for_others_to_write_to) {
  const TrustedDirectory directory;
  const mode_t mask = ::umask(0);
  BOOST_TEST(directory.error_of("new/sub/file") == 0);
  ::umask(mask);
  BOOST_TEST(mode_of(directory.path / "new") == 0755u);
  BOOST_TEST(mode_of(directory.path / "new/sub/file") == 0640u);
  const auto absent = open_trusted(directory.path / "none/file", O_RDONLY, 0);
  BOOST_TEST((!absent && absent.error().error == ENOENT));
  BOOST_TEST(!fs::exists(directory.path / "none"));
}

BOOST_AUTO_TEST_CASE(a_link_of_a_stranger_leads_nowhere) {
  const TrustedDirectory directory;
  fs::create_directory(directory.path / "real");
  if (!directory.link(directory.path / "real/victim", "link")) {
    BOOST_TEST_MESSAGE("only root may give links away");
    return;
  }
  directory.link(directory.path / "real", "door");
  fs::create_symlink("link", directory.path / "mine");
  for (const char* const name : {"link", "door/victim", "mine"}) {
    BOOST_TEST(directory.error_of(name) == ELOOP, name);
  }
  BOOST_TEST(fs::is_empty(directory.path / "real"));
  const auto opened = open_trusted(directory.path / "mine", kCreate, 0640);
  BOOST_REQUIRE(!opened);
  BOOST_TEST(opened.error().text ==
             "link is a symbolic link that belongs to user 54321, who is neither root nor the user "
             "of this process");
}

BOOST_AUTO_TEST_CASE(links_that_go_round_and_paths_that_are_no_files_are_refused) {
  const TrustedDirectory directory;
  fs::create_symlink("two", directory.path / "one");
  fs::create_symlink("one", directory.path / "two");
  BOOST_TEST(directory.error_of("one") == ELOOP);
  BOOST_TEST(directory.error_of("") == EISDIR);
  BOOST_TEST(directory.error_of("x/") == EISDIR);
  BOOST_TEST((open_trusted("", kCreate, 0640).error().error == ENOENT));
  std::ignore = open_trusted(directory.path / "file", kCreate, 0640);
  BOOST_TEST(directory.error_of("file/x") == ENOTDIR);
}

BOOST_AUTO_TEST_CASE(open_files_are_reached_by_their_links_in_proc) {
  int ends[2];
  BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const Fd reader(ends[0]);
  const Fd writer(ends[1]);
  const TrustedDirectory directory;
  fs::create_symlink("/proc/self/fd/" + std::to_string(writer.get()), directory.path / "stderr");
  for (const std::string& path :
       {"/proc/self/fd/" + std::to_string(writer.get()), (directory.path / "stderr").string()}) {
    auto opened = open_trusted(path, kCreate, 0640);
    BOOST_REQUIRE(bool(opened));
    char got = 0;
    BOOST_TEST(::write(opened->get(), "x", 1) == 1);
    BOOST_TEST(::read(reader.get(), &got, 1) == 1);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http01::base
