// Describes structs where Boost's macro does not reach: more than 52 members, and names that no member can have.
//
//   struct webhook {
//     std::string id;
//     bool private_ = false;
//     int plus_one = 0;
//   };
//   CLUSTER_CHANNEL_DESCRIBE_STRUCT(webhook, (), (id, private_, plus_one))
//   CLUSTER_CHANNEL_RENAME_MEMBERS(webhook, (private_, "private"), (plus_one, "+1"))
//
// Both stand in the namespace of the struct, after it. A description by BOOST_DESCRIBE_STRUCT can be renamed as well,
// and one by CLUSTER_CHANNEL_DESCRIBE_STRUCT serves all that asks Boost.Describe. Slots of an event declaration are
// renamed in the same way. The new name is the member's key in JSON, its name in signatures, and the name of the slot.
//
// Other ways to more than 52 members: described bases, whose members count too, and for slots `combined_events`.
#pragma once

#include <boost/describe.hpp>
#include <boost/mp11/algorithm.hpp>
#include <boost/mp11/list.hpp>

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>

// NOLINTBEGIN(bugprone-macro-parentheses): the arguments are names of types and lists
/// Like BOOST_DESCRIBE_STRUCT, for up to 256 members.
#define CLUSTER_CHANNEL_DESCRIBE_STRUCT(C, Bases, Members)                                                             \
  static_assert(std::is_class_v<C>, "CLUSTER_CHANNEL_DESCRIBE_STRUCT is for classes");                                 \
  BOOST_DESCRIBE_MAYBE_UNUSED BOOST_DESCRIBE_BASES_(C BOOST_DESCRIBE_PP_UNPACK Bases)                                  \
      BOOST_DESCRIBE_MAYBE_UNUSED inline auto                                                                          \
      boost_public_member_descriptor_fn(C**) {                                                                         \
    return boost::describe::detail::member_descriptor_fn_impl<boost::describe::mod_public>(                            \
        0 CLUSTER_CHANNEL_FOR_EACH(BOOST_DESCRIBE_MEMBER_IMPL, C, CLUSTER_CHANNEL_UNPACK Members));                    \
  }                                                                                                                    \
  BOOST_DESCRIBE_MAYBE_UNUSED BOOST_DESCRIBE_PROTECTED_MEMBERS_(C)                                                     \
  BOOST_DESCRIBE_MAYBE_UNUSED BOOST_DESCRIBE_PRIVATE_MEMBERS_(C)
// NOLINTEND(bugprone-macro-parentheses)

/// Names members of a described struct anew: `(member, "key")` for each, up to 256; a key is UTF-8.
#define CLUSTER_CHANNEL_RENAME_MEMBERS(C, ...)                                                                         \
  BOOST_DESCRIBE_MAYBE_UNUSED constexpr auto cluster_channel_renamed_members(C**) {                                    \
    return std::array{CLUSTER_CHANNEL_FOR_EACH(CLUSTER_CHANNEL_RENAMED, C, __VA_ARGS__)                                \
                          cluster_channel::detail::renamed_member{}};                                                  \
  }

#define CLUSTER_CHANNEL_UNPACK(...) __VA_ARGS__
#define CLUSTER_CHANNEL_RENAMED(C, Pair) CLUSTER_CHANNEL_RENAMED_(C, CLUSTER_CHANNEL_UNPACK Pair)
#define CLUSTER_CHANNEL_RENAMED_(...) CLUSTER_CHANNEL_RENAMED_MEMBER(__VA_ARGS__)
#define CLUSTER_CHANNEL_RENAMED_MEMBER(C, Member, Key)                                                                 \
  cluster_channel::detail::renamed_member{(static_cast<void>(&C::Member), #Member), Key},

// F(C, x) for each x of `...`. A macro does not expand itself; each round of EXPAND lets it do so once more.
#define CLUSTER_CHANNEL_FOR_EACH(F, C, ...)                                                                            \
  __VA_OPT__(CLUSTER_CHANNEL_EXPAND(CLUSTER_CHANNEL_FOR_FIRST(F, C, __VA_ARGS__)))
#define CLUSTER_CHANNEL_FOR_FIRST(F, C, x, ...)                                                                        \
  F(C, x) __VA_OPT__(CLUSTER_CHANNEL_FOR_FIRST_AGAIN CLUSTER_CHANNEL_PARENTHESES(F, C, __VA_ARGS__))
#define CLUSTER_CHANNEL_FOR_FIRST_AGAIN() CLUSTER_CHANNEL_FOR_FIRST
#define CLUSTER_CHANNEL_PARENTHESES ()
#define CLUSTER_CHANNEL_EXPAND(...)                                                                                    \
  CLUSTER_CHANNEL_EXPAND_3(CLUSTER_CHANNEL_EXPAND_3(CLUSTER_CHANNEL_EXPAND_3(CLUSTER_CHANNEL_EXPAND_3(__VA_ARGS__))))
#define CLUSTER_CHANNEL_EXPAND_3(...)                                                                                  \
  CLUSTER_CHANNEL_EXPAND_2(CLUSTER_CHANNEL_EXPAND_2(CLUSTER_CHANNEL_EXPAND_2(CLUSTER_CHANNEL_EXPAND_2(__VA_ARGS__))))
#define CLUSTER_CHANNEL_EXPAND_2(...)                                                                                  \
  CLUSTER_CHANNEL_EXPAND_1(CLUSTER_CHANNEL_EXPAND_1(CLUSTER_CHANNEL_EXPAND_1(CLUSTER_CHANNEL_EXPAND_1(__VA_ARGS__))))
#define CLUSTER_CHANNEL_EXPAND_1(...)                                                                                  \
  CLUSTER_CHANNEL_EXPAND_0(CLUSTER_CHANNEL_EXPAND_0(CLUSTER_CHANNEL_EXPAND_0(CLUSTER_CHANNEL_EXPAND_0(__VA_ARGS__))))
#define CLUSTER_CHANNEL_EXPAND_0(...) __VA_ARGS__

namespace cluster_channel::detail {

struct renamed_member {
  const char* member = "";
  const char* key = nullptr;
};

template <class T, class Class>
Class class_of(T Class::*);

/// The name by which a member travels, given Boost's descriptor of it.
template <class Member>
constexpr const char* find_travelling_name() {
  using owner = decltype(class_of(Member::pointer));
  if constexpr (requires { cluster_channel_renamed_members(static_cast<owner**>(nullptr)); })
    for (const auto& x : cluster_channel_renamed_members(static_cast<owner**>(nullptr)))
      if (std::string_view{x.member} == std::string_view{Member::name})
        return x.key;
  return Member::name;
}
template <class Member>
inline constexpr const char* travelling_name = find_travelling_name<Member>();

/// Whether two members of a list of descriptors travel by one name.
template <class Members>
constexpr bool has_name_twice() {
  std::array<std::string_view, boost::mp11::mp_size<Members>::value + 1> names;
  std::size_t count = 0;
  boost::mp11::mp_for_each<Members>([&](auto member) { names[count++] = travelling_name<decltype(member)>; });
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (names[i] == names[j])
        return true;
  return false;
}

} // namespace cluster_channel::detail
