// What a zstd:chunked layer has in common with layers that are here: the plan of a download that asks for the rest
// only.
//
// A layer that is built again is mostly the files it was. Its blob is another all the same; but where both are
// zstd:chunked, most of the new one's bytes lie in the old one, and the tables of contents of both say where. The new
// table is fetched, the old ones are read from the store, and what was found in both is copied. Nothing of it is
// believed: the blob that comes of it is hashed like any other, and one that is wrong is fetched as if nothing had been
// tried (pull.cc).
//
// Nobody pays for it who has nothing of it: a layer without the annotations is not looked at, and without such a layer
// in the store nothing is asked for.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "chunked_toc.hh"
#include "moss/base/fd.hh"
#include "reuse_plan.hh"

namespace moss::engine {

/// Below that a layer is fetched sooner than it is planned.
constexpr int64_t kMinReuseLayer = 1 << 20;
/// The share of a blob that must be found for it to be worth anything: one in so many bytes.
constexpr int64_t kMinReuseShare = 10;
/// The share of a blob that its table may be: one in so many bytes.
constexpr int64_t kMaxTocShare = 8;
/// How many layers of the store are read for one.
constexpr size_t kMaxReuseSources = 8;

struct Reuse {
  ReusePlan plan;
  std::vector<Fd> files;  ///< what the plan's sources are; nobody can take them away any more
};

class ReuseFinder {
 public:
  /// `repository`: whose images are asked first.
  ReuseFinder(std::string store, std::string repository)
      : store_(std::move(store)), repository_(std::move(repository)) {}

  /// Gets that part of the layer from the registry; nothing where it cannot.
  using FetchPart = std::function<std::optional<std::string>(int64_t offset, int64_t bytes)>;
  /// An empty file for the layer's table; nothing where there is no place for one.
  using MakeFile = std::function<std::optional<Fd>()>;
  /// Nothing where there is too little to gain, or anything is in the way: then the layer is fetched as always.
  std::optional<Reuse> find(const oci::Descriptor& layer, const FetchPart& fetch, const MakeFile& make_file);

 private:
  struct Source {
    oci::Descriptor blob;
    TocPlace place;
    bool of_repository = false;
  };
  const std::vector<Source>& sources();
  std::vector<const Source*> sources_for(const oci::Descriptor& layer);
  void read_sources(ReusePlanner& planner, std::vector<Fd>& files, const oci::Descriptor& layer);

  std::string store_;
  std::string repository_;
  std::optional<std::vector<Source>> sources_;
};

}  // namespace moss::engine
