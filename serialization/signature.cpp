#include <cluster_channel/serialization/signature.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace cluster_channel {

namespace {

class signature_writer {
public:
  std::string of(const type_description& type) {
    auto result = of_kind(type);
    if (type.meaning)
      result.append(" (").append(type.meaning).append(")");
    return result;
  }

private:
  std::string of_kind(const type_description& type) {
    switch (type.kind) {
    case type_kind::none:
      return "void";
    case type_kind::nothing:
      return "nothing";
    case type_kind::boolean:
      return "bool";
    case type_kind::integer:
      return (type.is_signed ? "i" : "u") + std::to_string(8 * type.size);
    case type_kind::real:
      return "f" + std::to_string(8 * type.size);
    case type_kind::enumeration:
      return "enum " + of(type.part()) + of_enumerators(type);
    case type_kind::duration:
      return of(type.part()) + " * " + std::to_string(type.num) + "/" + std::to_string(type.den) + " s";
    case type_kind::text:
      return "string";
    case type_kind::sequence:
      return "[" + of(type.part()) + "]";
    case type_kind::map:
      return "map<" + of(type.part(0)) + ", " + of(type.part(1)) + ">";
    case type_kind::array:
      return "[" + of(type.part()) + "; " + std::to_string(type.size) + "]";
    case type_kind::tuple:
      return "(" + of_parts(type, ", ") + ")";
    case type_kind::structure:
      return of_structure(type);
    case type_kind::optional:
      return "optional<" + of(type.part()) + ">";
    case type_kind::variant:
      return of_parts(type, " | ");
    case type_kind::json:
      return "json";
    case type_kind::opaque:
      break;
    }
    auto name = type.own_name();
    return name.empty() ? "opaque" : name;
  }

  /// In the order of their values, whatever that of the description is.
  static std::string of_enumerators(const type_description& type) {
    if (type.enumerators.empty())
      return {};
    std::vector<type_enumerator> all{type.enumerators.begin(), type.enumerators.end()};
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.value < b.value; });
    std::string result;
    for (const auto& x : all)
      result.append(result.empty() ? " {" : ", ").append(x.name).append(" = ").append(std::to_string(x.value));
    return result + "}";
  }

  std::string of_structure(const type_description& type) {
    for (std::size_t i = open_.size(); i > 0; --i)
      if (open_[i - 1] == &type)
        return "^" + std::to_string(open_.size() - i + 1);
    open_.push_back(&type);
    auto result = "{" + of_parts(type, ", ") + "}";
    open_.pop_back();
    return result;
  }

  std::string of_parts(const type_description& type, const char* between) {
    std::string result;
    for (const auto& part : type.parts) {
      if (&part != type.parts.data())
        result += between;
      if (part.name)
        result.append(part.name).append(": ");
      // A variant in a variant is encoded differently from one flat variant, and reads differently.
      const auto nested = type.kind == type_kind::variant && part.type->kind == type_kind::variant;
      result += nested ? "(" + of(*part.type) + ")" : of(*part.type);
    }
    return result;
  }

  std::vector<const type_description*> open_;
};

} // namespace

std::string signature_of(const type_description& type) {
  return signature_writer{}.of(type);
}

} // namespace cluster_channel
