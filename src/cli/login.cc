// moss login and moss logout.
#include "moss/engine/login.hh"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <memory>

#include "moss/sys/file.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/registry_options.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

using engine::Credentials;

namespace {

constexpr size_t kMaxPasswordBytes = 64u << 10;

termios& terminal_before() {
  static termios settings;
  return settings;
}

// Ctrl-C at the prompt must not leave a terminal that shows nothing.
void restore_and_die(int signal) {
  ::tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before());
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

// One line of the standard input, a byte at a time: what follows belongs to somebody else.
Result<std::string> read_line(std::string_view what) {
  std::string line;
  char c = 0;
  while (true) {
    const ssize_t got = ::read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error("read the ", what);
    if (got == 0 && line.empty()) return Error(0, "read the ", what, ": the standard input has ended");
    if (got == 0 || c == '\n') return line;
    line += c;
    if (line.size() > kMaxPasswordBytes) return Error(E2BIG, "read the ", what);
  }
}

Result<std::string> ask_hidden(const std::string& prompt) {
  if (::isatty(STDIN_FILENO) != 1) {
    return Error(0, "there is no terminal to ask for the password; pipe it in: --username USER --password-stdin");
  }
  print(prompt);
  if (::tcgetattr(STDIN_FILENO, &terminal_before()) != 0) return sys_error("read the terminal's settings");
  for (const int signal : {SIGINT, SIGTERM, SIGQUIT, SIGHUP}) ::signal(signal, restore_and_die);
  termios hidden = terminal_before();
  hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  Result<std::string> line = read_line("password");
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before());
  for (const int signal : {SIGINT, SIGTERM, SIGQUIT, SIGHUP}) ::signal(signal, SIG_DFL);
  print("\n");
  return line;
}

struct LoginArguments {
  std::string registry;
  std::string user;
  std::optional<std::string> password;
  bool password_stdin = false;
  bool get_login = false;
  bool verbose = false;
  std::string secret;
  std::string compat_file;
  engine::RegistryAccess access;
};

Result<Credentials> ask_for_credentials(const LoginArguments& arguments, const std::optional<Credentials>& known) {
  Credentials credentials{arguments.user, arguments.password.value_or("")};
  if (arguments.password_stdin) {
    const std::string text = TRY(sys::read_stream(STDIN_FILENO, "the password", kMaxPasswordBytes));
    credentials.secret = text.substr(0, text.find_last_not_of("\r\n") + 1);
  }
  if (credentials.user.empty()) {
    const std::string suggested = known && known->user != engine::kIdentityToken ? known->user : "";
    print(suggested.empty() ? "Username: " : cat("Username (", suggested, "): "));
    credentials.user = std::string(trim(TRY(read_line("user name"))));
    if (credentials.user.empty()) credentials.user = suggested;
  }
  if (credentials.user.empty()) return Error(0, "no user name was given");
  if (credentials.user.find(':') != std::string::npos) return Error(0, "a user name has no colon");
  if (!arguments.password && !arguments.password_stdin) credentials.secret = TRY(ask_hidden("Password: "));
  if (credentials.secret.empty()) return Error(0, "no password was given");
  return credentials;
}

Result<int> run_login(const LoginArguments& arguments) {
  if (!arguments.secret.empty())
    return Error(0, "--secret is not supported; pipe the password in with --password-stdin");
  if (!arguments.compat_file.empty()) {
    return Error(0, "--compat-auth-file is not supported; --authfile FILE writes a file that Docker reads");
  }
  if (arguments.password && arguments.password_stdin) {
    return Error(0, "--password and --password-stdin exclude each other");
  }
  if (arguments.password_stdin && arguments.user.empty()) {
    return Error(0, "--password-stdin needs --username: the standard input holds only the password");
  }
  const std::string key = TRY(engine::login_key(arguments.registry));
  const std::optional<Credentials> known = TRY(engine::find_login(key, arguments.access.auth_file));
  if (arguments.get_login) {
    if (!known) return Error(0, "not logged in to ", key, "; moss login ", key);
    print(printable(known->user) + "\n");
    return 0;
  }
  const bool nothing_given = arguments.user.empty() && !arguments.password && !arguments.password_stdin;
  if (known && nothing_given) {
    print(cat("Authenticating with existing credentials for ", key, "\n"));
    if (engine::check_login(key, *known, arguments.access).ok()) {
      print(cat("Existing credentials are valid. Already logged in to ", key, "\n"));
      return 0;
    }
    print("Existing credentials are invalid, please enter valid username and password\n");
  }
  const Credentials credentials = TRY(ask_for_credentials(arguments, known));
  TRY(engine::check_login(key, credentials, arguments.access).context("log in to ", key));
  const std::string where = TRY(engine::store_login(key, credentials, arguments.access.auth_file));
  if (arguments.verbose) print(cat("Used: ", where, "\n"));
  print("Login Succeeded!\n");
  return 0;
}

}  // namespace

void define_login(CLI::App& app) {
  auto arguments = std::make_shared<LoginArguments>();
  app.add_option("REGISTRY", arguments->registry,
                 "a registry, or a repository of it; else the first that registries.conf searches");
  add_option(app, "-u,--username", arguments->user, "the name; asked for where it is not given");
  add_option(app, "-p,--password", arguments->password, "the password; others see it in the list of processes");
  add_flag(app, "--password-stdin", arguments->password_stdin, "read the password from the standard input");
  add_flag(app, "--get-login", arguments->get_login, "print the name that is logged in, and do nothing else");
  add_flag(app, "-v,--verbose", arguments->verbose, "tell where the login was stored");
  add_option(app, "--authfile", arguments->access.auth_file,
             "store it there and not in $REGISTRY_AUTH_FILE or $XDG_RUNTIME_DIR/containers/auth.json");
  add_tls_options(app, arguments->access);
  add_option(app, "--secret", arguments->secret, "not supported");
  add_option(app, "--compat-auth-file", arguments->compat_file, "not supported");
  app.callback([arguments] { finish_with([&] { return run_login(*arguments); }); });
}

void define_logout(CLI::App& app) {
  struct Arguments {
    std::string registry;
    bool all = false;
    std::string compat_file;
    std::string auth_file;
  };
  auto arguments = std::make_shared<Arguments>();
  app.add_option("REGISTRY", arguments->registry,
                 "as it was logged in to; else the first that registries.conf searches");
  add_flag(app, "-a,--all", arguments->all, "forget all logins");
  add_option(app, "--authfile", arguments->auth_file, "the file they are in");
  add_option(app, "--compat-auth-file", arguments->compat_file, "not supported");
  app.callback([arguments] {
    finish_with([&]() -> Result<int> {
      if (!arguments->compat_file.empty()) {
        return Error(0, "--compat-auth-file is not supported; --authfile FILE names any file, Docker's too");
      }
      if (arguments->all) {
        if (!arguments->registry.empty()) return Error(0, "--all and a registry's name exclude each other");
        TRY(engine::forget_all_logins(arguments->auth_file));
        print("Removed login credentials for all registries\n");
        return 0;
      }
      const std::string key = TRY(engine::login_key(arguments->registry));
      TRY(engine::forget_login(key, arguments->auth_file));
      print(cat("Removed login credentials for ", key, "\n"));
      return 0;
    });
  });
}

}  // namespace moss::cli
