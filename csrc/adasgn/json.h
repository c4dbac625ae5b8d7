// Strict JSON for the model file, over nlohmann/json: no key twice, bounded nesting, errors that name the place.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "adasgn/error.h"

namespace adasgn {

using Json = nlohmann::json;

// Where in a file a value stands, for messages: "model.adasgn: description: classes".
class JsonContext {
  public:
    explicit JsonContext(std::string place) : place_(std::move(place)) {}

    JsonContext inside(const std::string& part) const { return JsonContext(place_ + ": " + part); }
    [[noreturn]] void fail(const std::string& message) const;
    [[noreturn]] void fail(const std::string& expected, const Json& found) const;

  private:
    std::string place_;
};

// Parses text that came from outside; throws Error (model_file) for anything that is not one JSON object.
Json parse_json(const std::string& text, const JsonContext& at);

// Throws unless `value` is an object with exactly these keys.
void expect_keys(const Json& value, const std::vector<const char*>& keys, const JsonContext& at);

// Throws unless `value` is a list of at least `low` and at most `high` values.
void expect_list(const Json& value, std::size_t low, std::size_t high, const JsonContext& at);

// Throws unless `value` is a list of `count` strings; returns them.
std::vector<std::string> strings(const Json& value, std::size_t count, const JsonContext& at);

}  // namespace adasgn
