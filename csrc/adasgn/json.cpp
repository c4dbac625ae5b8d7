#include "adasgn/json.h"

#include <algorithm>
#include <set>
#include <vector>

namespace adasgn {

namespace {

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxShown = 80;

}  // namespace

void JsonContext::fail(const std::string& message) const {
    // Names and values come from the file: only what a terminal can show is repeated.
    std::string text = place_ + ": " + message;
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            c = '?';
        }
    }
    throw Error(ErrorKind::model_file, text);
}

void JsonContext::fail(const std::string& expected, const Json& found) const {
    std::string text = found.dump(-1, ' ', true, Json::error_handler_t::replace);
    if (text.size() > kMaxShown) {
        text = text.substr(0, kMaxShown) + "…";
    }
    fail(expected + ", found " + text);
}

Json parse_json(const std::string& text, const JsonContext& at) {
    std::vector<std::set<std::string>> keys;  // of the objects that are open
    const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
        if (depth > kMaxDepth) {
            at.fail("expected at most " + std::to_string(kMaxDepth) + " levels of nesting, found more");
        }
        if (event == Json::parse_event_t::object_start) {
            keys.emplace_back();
        } else if (event == Json::parse_event_t::object_end) {
            keys.pop_back();
        } else if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
            at.fail("expected each key once, found a second one", value);
        }
        return true;
    };
    Json value;
    try {
        value = Json::parse(text, check);
    } catch (const Json::exception& error) {
        at.fail(std::string("expected JSON, found something else (") + error.what() + ")");
    }
    if (!value.is_object()) {
        at.fail("expected a JSON object", value);
    }
    return value;
}

void expect_keys(const Json& value, std::initializer_list<const char*> keys, const JsonContext& at) {
    std::string names;
    for (const char* key : keys) {
        names += (names.empty() ? "" : ", ") + std::string(key);
    }
    if (!value.is_object()) {
        at.fail("expected an object with the keys " + names, value);
    }
    for (const char* key : keys) {
        if (!value.contains(key)) {
            at.fail("expected the keys " + names + ", found no " + key);
        }
    }
    for (const auto& [key, unused] : value.items()) {
        if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
            at.fail("expected the keys " + names + ", found also " + key);
        }
    }
}

}  // namespace adasgn
