#include <cluster_channel/actors/actor_system_config.hpp>
#include <cluster_channel/actors/pool_messages.hpp>
#include <cluster_channel/serialization/error.hpp>

#include <caf/io/middleman.hpp>

namespace cluster_channel {

void configure(caf::actor_system_config& config) {
  config.load<caf::io::middleman>();
  config.add_message_type<failure>("cluster_channel::failure");
  config.add_message_type<slot_request>("cluster_channel::slot_request");
  config.add_message_type<slot_response>("cluster_channel::slot_response");
  config.add_error_category(error_category, [](std::uint8_t code, caf::atom_value, const caf::message& context) {
    if (context.match_elements<failure>())
      return to_string(context.get_as<failure>(0));
    return to_string(static_cast<errc>(code));
  });
}

actor_system_config::actor_system_config() {
  configure(*this);
  set("scheduler.policy", caf::atom("sharing"));
}

} // namespace cluster_channel
