#include "adasgn/json.h"

#include <algorithm>
#include <set>
#include <vector>

namespace adasgn {

namespace {

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxShown = 80;
constexpr std::size_t kMaxMessage = 1000;

}  // namespace

void JsonContext::fail(const std::string& message) const {
    // Names and values come from the file: only what a terminal can show is repeated, and not a megabyte of it.
    std::string text = place_ + ": " + message;
    if (text.size() > kMaxMessage) {
        std::size_t end = kMaxMessage;
        while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
            --end;  // not within a character
        }
        text = text.substr(0, end) + "…";
    }
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
    // The parser would skip a byte order mark and take a zero byte as the end of the text.
    if (text.rfind("\xef\xbb\xbf", 0) == 0 || text.find('\0') != std::string::npos) {
        at.fail("expected JSON, found a byte order mark or a zero byte");
    }
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
        std::string reason = error.what();  // quotes the text up to the fault, which need not be UTF-8
        std::replace_if(
            reason.begin(), reason.end(), [](char c) { return static_cast<signed char>(c) < 0; }, '?');
        if (reason.size() > kMaxShown * 2) {
            reason = reason.substr(0, kMaxShown) + " ... " + reason.substr(reason.size() - kMaxShown);
        }
        at.fail("expected JSON, found something else (" + reason + ")");
    }
    if (!value.is_object()) {
        at.fail("expected a JSON object", value);
    }
    return value;
}

void expect_keys(const Json& value, const std::vector<const char*>& keys, const JsonContext& at) {
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

void expect_list(const Json& value, std::size_t low, std::size_t high, const JsonContext& at) {
    if (!value.is_array() || value.size() < low || value.size() > high) {
        at.fail("expected a list of " + std::to_string(low) + (low == high ? "" : " to " + std::to_string(high)) +
                    " values",
                value);
    }
}

std::vector<std::string> strings(const Json& value, std::size_t count, const JsonContext& at) {
    expect_list(value, count, count, at);
    std::vector<std::string> result;
    for (const Json& item : value) {
        if (!item.is_string()) {
            at.fail("expected strings", item);
        }
        result.push_back(item.get<std::string>());
    }
    return result;
}

}  // namespace adasgn
