@0xd6a7b1c5f0e24a83;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("bench::capnp_schema");

interface Echo {
  call @0 (text :Data) -> (text :Data);
}
