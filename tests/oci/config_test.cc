// config.json: what runtimes and engines write is read whole, and what moss writes is read back.
#include "moss/oci/config.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "expect.hh"

namespace moss::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A bundle with every property that moss knows.
constexpr std::string_view kEverything = R"({
  "ociVersion": "1.3.0",
  "process": {
    "terminal": true,
    "consoleSize": {
      "height": 24,
      "width": 80
    },
    "user": {
      "uid": 1000,
      "gid": 100,
      "umask": 18,
      "additionalGids": [
        5,
        6
      ]
    },
    "args": [
      "sh",
      "-c",
      "echo \"\\t\" é"
    ],
    "env": [
      "PATH=/bin",
      "EMPTY="
    ],
    "cwd": "/work",
    "capabilities": {
      "bounding": [
        "CAP_CHOWN"
      ],
      "effective": [
        "CAP_CHOWN"
      ],
      "inheritable": [
        "CAP_KILL"
      ],
      "permitted": [
        "CAP_CHOWN"
      ],
      "ambient": [
        "CAP_KILL"
      ]
    },
    "rlimits": [
      {
        "type": "RLIMIT_NOFILE",
        "hard": 18446744073709551615,
        "soft": 0
      }
    ],
    "noNewPrivileges": true,
    "oomScoreAdj": -1000,
    "apparmorProfile": "default",
    "selinuxLabel": "a:b:c",
    "scheduler": {
      "policy": "SCHED_DEADLINE",
      "nice": -5,
      "priority": 1,
      "flags": [
        "SCHED_FLAG_RESET_ON_FORK"
      ],
      "runtime": 1,
      "deadline": 2,
      "period": 3
    },
    "ioPriority": {
      "class": "IOPRIO_CLASS_BE",
      "priority": 0
    },
    "execCPUAffinity": {
      "initial": "0",
      "final": "0-1"
    }
  },
  "root": {
    "path": "rootfs",
    "readonly": true
  },
  "hostname": "web",
  "domainname": "example",
  "mounts": [
    {
      "destination": "/data",
      "type": "bind",
      "source": "/srv",
      "options": [
        "rbind",
        "ro"
      ],
      "uidMappings": [
        {
          "containerID": 0,
          "hostID": 1000,
          "size": 1
        }
      ],
      "gidMappings": [
        {
          "containerID": 0,
          "hostID": 1000,
          "size": 1
        }
      ]
    }
  ],
  "annotations": {
    "": "empty key",
    "org.example.a": ""
  },
  "hooks": {
    "prestart": [
      {
        "path": "/bin/a",
        "args": [
          "a",
          "b"
        ],
        "env": [
          "X=1"
        ],
        "timeout": 5
      }
    ],
    "createRuntime": [
      {
        "path": "/bin/b"
      }
    ],
    "createContainer": [
      {
        "path": "/bin/c"
      }
    ],
    "startContainer": [
      {
        "path": "/bin/d"
      }
    ],
    "poststart": [
      {
        "path": "/bin/e"
      }
    ],
    "poststop": [
      {
        "path": "/bin/f"
      }
    ]
  },
  "linux": {
    "namespaces": [
      {
        "type": "pid"
      },
      {
        "type": "network",
        "path": "/proc/1/ns/net"
      }
    ],
    "uidMappings": [
      {
        "containerID": 0,
        "hostID": 4294967295,
        "size": 4294967295
      }
    ],
    "gidMappings": [
      {
        "containerID": 0,
        "hostID": 100000,
        "size": 65536
      }
    ],
    "timeOffsets": {
      "boottime": {
        "secs": -1,
        "nanosecs": 5
      },
      "monotonic": {}
    },
    "devices": [
      {
        "type": "c",
        "path": "/dev/fuse",
        "major": 10,
        "minor": 229,
        "fileMode": 438,
        "uid": 0,
        "gid": 0
      }
    ],
    "cgroupsPath": "user.slice:moss:web",
    "rootfsPropagation": "rslave",
    "resources": {
      "devices": [
        {
          "allow": false,
          "type": "c",
          "major": 1,
          "minor": -1,
          "access": "rwm"
        }
      ],
      "memory": {
        "limit": 1,
        "reservation": 2,
        "swap": -1,
        "kernel": 0,
        "kernelTCP": 0,
        "swappiness": 60,
        "disableOOMKiller": false,
        "useHierarchy": true,
        "checkBeforeUpdate": true
      },
      "cpu": {
        "shares": 1024,
        "quota": -1,
        "burst": 0,
        "period": 100000,
        "realtimeRuntime": 0,
        "realtimePeriod": 0,
        "cpus": "0-1",
        "mems": "0",
        "idle": 1
      },
      "pids": {
        "limit": 0
      },
      "blockIO": {
        "weight": 10,
        "leafWeight": 20,
        "weightDevice": [
          {
            "major": 8,
            "minor": 0,
            "weight": 500,
            "leafWeight": 300
          }
        ],
        "throttleReadBpsDevice": [
          {
            "major": 8,
            "minor": 0,
            "rate": 600
          }
        ],
        "throttleWriteBpsDevice": [
          {
            "major": 8,
            "minor": 0,
            "rate": 600
          }
        ],
        "throttleReadIOPSDevice": [
          {
            "major": 8,
            "minor": 0,
            "rate": 600
          }
        ],
        "throttleWriteIOPSDevice": [
          {
            "major": 8,
            "minor": 0,
            "rate": 600
          }
        ]
      },
      "hugepageLimits": [
        {
          "pageSize": "2MB",
          "limit": 0
        }
      ],
      "network": {
        "classID": 1048577,
        "priorities": [
          {
            "name": "eth0",
            "priority": 500
          }
        ]
      },
      "rdma": {
        "mlx5_1": {
          "hcaHandles": 3,
          "hcaObjects": 10000
        }
      },
      "unified": {
        "memory.high": "max"
      }
    },
    "seccomp": {
      "defaultAction": "SCMP_ACT_ERRNO",
      "defaultErrnoRet": 38,
      "architectures": [
        "SCMP_ARCH_X86_64"
      ],
      "flags": [
        "SECCOMP_FILTER_FLAG_LOG"
      ],
      "listenerPath": "/run/listener",
      "listenerMetadata": "",
      "syscalls": [
        {
          "names": [
            "personality"
          ],
          "action": "SCMP_ACT_ALLOW",
          "errnoRet": 0,
          "args": [
            {
              "index": 0,
              "value": 4294967295,
              "valueTwo": 1,
              "op": "SCMP_CMP_MASKED_EQ"
            }
          ]
        }
      ]
    },
    "sysctl": {
      "net.ipv4.ip_forward": "1"
    },
    "maskedPaths": [
      "/proc/kcore"
    ],
    "readonlyPaths": [
      "/proc/sys"
    ],
    "mountLabel": "x:y:z",
    "personality": {
      "domain": "LINUX32",
      "flags": [
        "x"
      ]
    },
    "netDevices": {
      "eth1": {
        "name": "eth0"
      },
      "eth2": {}
    },
    "memoryPolicy": {
      "mode": "MPOL_BIND",
      "nodes": "0-1",
      "flags": [
        "MPOL_F_STATIC_NODES"
      ]
    },
    "intelRdt": {
      "closID": "gold",
      "schemata": [
        "L3:0=ff"
      ],
      "l3CacheSchema": "L3:0=f",
      "memBwSchema": "MB:0=70",
      "enableMonitoring": true
    }
  }
}
)";

TEST(ConfigJson, EveryPropertyIsReadAndWrittenBack) {
  EXPECT_EQ(encode_config(value_of(decode_config(kEverything))), kEverything);
}

TEST(ConfigJson, WhatIsReadIsWhatWasWritten) {
  const Config config = value_of(decode_config(kEverything));
  EXPECT_EQ(value_of(decode_config(encode_config(config))), config);
  EXPECT_EQ(config.oci_version, "1.3.0");
  EXPECT_THAT(config.process.args, ElementsAre("sh", "-c", "echo \"\\t\" é"));
  EXPECT_THAT(config.linux.uid_mappings, ElementsAre(IdRange{0, 4294967295, 4294967295}));
  EXPECT_EQ(config.process.oom_score_adj, -1000);
  EXPECT_EQ(config.linux.resources->pids->limit, 0);
  EXPECT_EQ(config.linux.seccomp->listener_metadata, "");
}

// Written as `runc spec --rootless` does, with tabs and the properties that it has.
TEST(ConfigJson, RuncsSpecIsRead) {
  const Config config = value_of(decode_config(
      "{\n\t\"ociVersion\": \"1.0.2-dev\",\n\t\"process\": {\n\t\t\"terminal\": true,\n\t\t\"user\": {\n\t\t\t\"uid\": "
      "0,"
      "\n\t\t\t\"gid\": 0\n\t\t},\n\t\t\"args\": [\n\t\t\t\"sh\"\n\t\t],\n\t\t\"cwd\": \"/\"\n\t},\n\t\"root\": {\n\t\t"
      "\"path\": \"rootfs\",\n\t\t\"readonly\": true\n\t},\n\t\"mounts\": [\n\t\t{\n\t\t\t\"destination\": \"/sys\",\n"
      "\t\t\t\"type\": \"none\",\n\t\t\t\"source\": \"/sys\",\n\t\t\t\"options\": "
      "[\n\t\t\t\t\"rbind\",\n\t\t\t\t\"ro\"\n"
      "\t\t\t]\n\t\t}\n\t],\n\t\"linux\": {\n\t\t\"uidMappings\": [\n\t\t\t{\n\t\t\t\t\"containerID\": 0,\n\t\t\t\t"
      "\"hostID\": 1001,\n\t\t\t\t\"size\": 1\n\t\t\t}\n\t\t]\n\t}\n}"));
  Config expected;
  expected.oci_version = "1.0.2-dev";
  expected.process.terminal = true;
  expected.process.args = {"sh"};
  expected.root = {"rootfs", true};
  expected.mounts = {{.destination = "/sys", .type = "none", .source = "/sys", .options = {"rbind", "ro"}}};
  expected.linux.uid_mappings = {{0, 1001, 1}};
  EXPECT_EQ(config, expected);
}

TEST(ConfigJson, AnEmptyConfigHasOnlyWhatTheSpecRequires) {
  Config config;
  config.root.path = "rootfs";
  EXPECT_EQ(encode_config(config), R"({
  "ociVersion": "1.2.0",
  "process": {
    "user": {
      "uid": 0,
      "gid": 0
    },
    "cwd": "/"
  },
  "root": {
    "path": "rootfs"
  }
}
)");
}

TEST(ConfigJson, AnEmptySetOfCapabilitiesIsNotAnAbsentOne) {
  Config config;
  config.root.path = "rootfs";
  config.process.capabilities.emplace();
  EXPECT_EQ(value_of(decode_config(encode_config(config))), config);
}

TEST(ConfigJson, TextThatIsNotUtf8IsWrittenWithReplacementCharacters) {
  Config config;
  config.root.path = "rootfs";
  config.process.env = {"A=\xff", "B=\xc3", "C=\xed\xa0\x80", "D=\xf0\x9f\x8c\xb1", "E=\x01\n\x7f"};
  const Config read = value_of(decode_config(encode_config(config)));
  EXPECT_THAT(read.process.env,
              ElementsAre("A=\xef\xbf\xbd", "B=\xef\xbf\xbd", "C=\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
                          "D=\xf0\x9f\x8c\xb1", "E=\x01\n\x7f"));
}

TEST(ConfigJson, UnknownPropertiesAreIgnored) {
  EXPECT_EQ(error_of(decode_config(R"({"ociVersion": "1.0.0", "windows": {"a": [1, {"b": null}], "a": 2}, "new": [[]],
      "root": {"path": "x", "Path": 5, "future": {"path": 7}}})")),
            "no error");
}

TEST(ConfigJson, NullIsAbsent) {
  const Config config = value_of(decode_config(R"({"ociVersion": "1.0.0", "root": {"path": "x", "readonly": null},
      "mounts": null, "process": {"cwd": "/", "args": null, "capabilities": null, "oomScoreAdj": null},
      "annotations": {"a": null}, "linux": null})"));
  EXPECT_TRUE(config.process.args.empty());
  EXPECT_FALSE(config.process.capabilities.has_value());
  EXPECT_FALSE(config.process.oom_score_adj.has_value());
  EXPECT_EQ(config.annotations, (Annotations{{"a", ""}}));
}

TEST(ConfigJson, ErrorsNameTheJsonPath) {
  const auto error = [](std::string_view rest) {
    return error_of(decode_config(cat(R"({"ociVersion": "1.2.0", "root": {"path": "r"}, )", rest, "}")));
  };
  EXPECT_EQ(error(R"("linux": {"uidMappings": [{"containerID": 0, "hostID": "0", "size": 1}]})"),
            "config.json: linux.uidMappings[0].hostID: expected an integer in 0..2^32-1, found string");
  EXPECT_EQ(error(R"("linux": {"uidMappings": [{"containerID": 0, "size": 1}]})"),
            "config.json: linux.uidMappings[0]: hostID is missing");
  EXPECT_EQ(error(R"("linux": {"uidMappings": [{"containerID": 0, "hostID": 1, "size": 0}]})"),
            "config.json: linux.uidMappings[0].size: expected an integer above 0, found 0");
  EXPECT_EQ(error(R"("process": {"cwd": "/", "args": ["a", 1]})"),
            "config.json: process.args[1]: expected string, found number");
  EXPECT_EQ(error(R"("process": {"cwd": "/", "args": ["a", null]})"),
            "config.json: process.args[1]: expected string, found null");
  EXPECT_EQ(error(R"("process": {"cwd": "/", "args": "sh"})"),
            "config.json: process.args: expected list, found string");
  EXPECT_EQ(error(R"("process": {"args": ["sh"]})"), "config.json: process: cwd is missing");
  EXPECT_EQ(error(R"("process": {"cwd": null})"), "config.json: process: cwd is missing");
  EXPECT_EQ(error(R"("process": {"cwd": "/", "terminal": 1})"),
            "config.json: process.terminal: expected true or false, found number");
  EXPECT_EQ(error(R"("mounts": {})"), "config.json: mounts: expected list, found object");
  EXPECT_EQ(error(R"("linux": [])"), "config.json: linux: expected object, found list");
  EXPECT_EQ(error(R"("hostname": true)"), "config.json: hostname: expected string, found true");
  EXPECT_EQ(error(R"("annotations": {"a.b c": 1})"),
            R"(config.json: annotations["a.b c"]: expected string, found number)");
  EXPECT_EQ(error(R"("linux": {"timeOffsets": {"boottime": {"secs": 1.5}}})"),
            "config.json: linux.timeOffsets.boottime.secs: expected an integer in -2^63..2^63-1, found 1.5");
  EXPECT_EQ(error(R"("linux": {"seccomp": {"defaultAction": "x", "syscalls": [{"names": ["read"]}]}})"),
            "config.json: linux.seccomp.syscalls[0]: action is missing");
  EXPECT_EQ(error(R"("linux": {"seccomp": {"syscalls": [{"args": [{"value": -1}]}]}})"),
            "config.json: linux.seccomp.syscalls[0].args[0].value: expected an integer in 0..2^64-1, found -1");
}

TEST(ConfigJson, RequiredPropertiesAreRequired) {
  EXPECT_EQ(error_of(decode_config("{}")), "config.json: ociVersion is missing");
  EXPECT_EQ(error_of(decode_config(R"({"ociVersion": "1.0.0"})")), "config.json: root is missing");
  EXPECT_EQ(error_of(decode_config(R"({"ociVersion": "1.0.0", "root": {}})")), "config.json: root: path is missing");
}

TEST(ConfigJson, OnlyVersion1IsRead) {
  const auto error = [](std::string_view version) {
    return error_of(decode_config(cat(R"({"root": {"path": "r"}, "ociVersion": ")", version, "\"}")));
  };
  for (const char* version : {"1.0.0", "1.0.2-dev", "1.3.0", "1.99.12", "1.0.0-rc.1", "1.2.1+dev", "1.0.0-a-b+c.d"}) {
    EXPECT_EQ(error(version), "no error") << version;
  }
  for (const char* version : {"", "1", "1.0", "2.0.0", "0.9.0", "1.0.0.0", "1.0.x", "v1.0.0", "1.0.0-", "1.0.0+",
                              "1.01.0", " 1.0.0", "1.0.0-a..b", "1..0", "1.0.0000000000"}) {
    EXPECT_EQ(error(version), cat("config.json: ociVersion: expected a runtime-spec version 1.x, such as \"1.2.0\", ",
                                  "found \"", std::string_view(version), "\""));
  }
}

TEST(ConfigJson, IntegersKeepTheirRange) {
  const auto error = [](std::string_view uid) {
    return error_of(decode_process(cat(R"({"cwd": "/", "user": {"uid": )", uid, "}}")));
  };
  const std::string expected = "process: user.uid: expected an integer in 0..2^32-1, found ";
  EXPECT_EQ(error("4294967295"), "no error");
  for (const std::string number :
       {"4294967296", "-1", "-0", "1.0", "1e2", "1e308", "18446744073709551616", "-9223372036854775808", "-0.0"}) {
    EXPECT_EQ(error(number), expected + number);
  }
  EXPECT_EQ(error("1e999"), "process: user.uid: the number 1e999 is out of range");
  EXPECT_THAT(error("NaN"), HasSubstr("process: not valid JSON at line 1, column "));
  EXPECT_THAT(error("01"), HasSubstr("process: not valid JSON"));
}

TEST(ConfigJson, NoTextHoldsANulByte) {
  EXPECT_EQ(error_of(decode_process(R"({"cwd": "/", "args": ["a\u0000b"]})")),
            "process: args[0]: holds a NUL byte (\\u0000)");
  EXPECT_EQ(error_of(decode_process(R"({"cwd": "/\u0000"})")), "process: cwd: holds a NUL byte (\\u0000)");
  EXPECT_EQ(error_of(decode_config(R"({"annotations": {"a\u0000": ""}})")),
            "config.json: annotations[\"a\\x00\"]: a key with a NUL byte (\\u0000)");
}

TEST(ResourcesJson, IsReadAlone) {
  const Resources resources = value_of(decode_resources(R"({"memory": {"limit": 5}, "pids": {}})"));
  Resources expected;
  expected.memory.emplace().limit = 5;
  expected.pids.emplace();
  EXPECT_EQ(resources, expected);
}

}  // namespace
}  // namespace moss::oci
