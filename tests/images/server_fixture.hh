// Servers to pull from: Debian's docker-registry, and mock_registry.py for what a real one does not do.
#pragma once

#include <string>
#include <vector>

#include "image_fixture.hh"
#include "moss/sys/child.hh"

namespace moss::test {

class ServerTest : public ImageTest {
 protected:
  void TearDown() override;

  /// Starts docker-registry on a free port of 127.0.0.1. False where it, or skopeo to fill it, is not installed.
  bool start_registry();
  /// Copies the image of an OCI layout there, by skopeo: "app:latest".
  void push(const std::string& layout, const std::string& name);
  /// "127.0.0.1:40123"
  const std::string& host() const { return host_; }
  /// A blob's file on the registry's disk.
  std::string registry_blob(const std::string& digest) const;

  /// Starts mock_registry.py for a layout. False where there is no python3.
  bool start_mock(const std::string& layout);
  /// What it was asked so far, one line a request.
  std::vector<std::string> requests();

  Result<engine::Image> pull(const std::string& name, engine::PullOptions options = {});

 private:
  std::string host_;
  sys::Child server_;
  Fd mock_stdin_;
};

}  // namespace moss::test
