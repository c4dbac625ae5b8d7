// Strict JSON for the model file: no key twice, bounded nesting, errors that name the place. nlohmann/json parses; only
// json.cpp sees it, as its header takes seconds to compile.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adasgn/error.h"

namespace adasgn {

// A value. Numbers keep the kind in which they were written: whole or with a fraction.
class Json {
  public:
    bool is_null() const { return kind_ == Kind::null; }
    bool is_boolean() const { return kind_ == Kind::boolean; }
    bool is_string() const { return kind_ == Kind::text; }
    bool is_array() const { return kind_ == Kind::list; }
    bool is_object() const { return kind_ == Kind::object; }
    bool is_number_float() const { return kind_ == Kind::fraction; }
    bool is_number() const { return is_number_float() || kind_ == Kind::natural || kind_ == Kind::negative; }
    bool is_natural() const { return kind_ == Kind::natural; }     // a whole number without a sign
    bool is_whole(std::int64_t low, std::int64_t high) const;      // a whole number from low to high
    bool is_list_of(const std::vector<const char*>& texts) const;  // these strings
    bool operator==(const char* text) const { return is_string() && text_ == text; }
    bool operator!=(const char* text) const { return !(*this == text); }

    // Of a value of that kind.
    bool boolean() const { return natural_ != 0; }
    std::int64_t whole() const { return static_cast<std::int64_t>(natural_); }
    std::uint64_t natural() const { return natural_; }
    double number() const;
    const std::string& text() const { return text_; }

    // Of a list or an object, whose keys are in the order of the alphabet.
    std::size_t size() const { return values_.size(); }
    bool empty() const { return values_.empty(); }
    const Json& operator[](std::size_t place) const { return values_[place]; }
    const std::string& key(std::size_t place) const { return keys_[place]; }
    std::vector<Json>::const_iterator begin() const { return values_.begin(); }
    std::vector<Json>::const_iterator end() const { return values_.end(); }
    bool contains(std::string_view key) const;
    const Json& operator[](std::string_view key) const;  // null where there is none

    std::string dump() const;  // in ASCII, without spaces

  private:
    friend struct JsonParts;  // json.cpp

    enum class Kind { null, boolean, natural, negative, fraction, text, list, object };

    Kind kind_ = Kind::null;
    std::uint64_t natural_ = 0;  // of a negative number its two's complement
    double fraction_ = 0;
    std::string text_;
    std::vector<std::string> keys_;  // of an object
    std::vector<Json> values_;
};

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
