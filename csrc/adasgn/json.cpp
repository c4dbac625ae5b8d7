#include "adasgn/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace adasgn {

namespace {

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxShown = 80;
constexpr std::size_t kMaxMessage = 1000;

using Parsed = nlohmann::json;

}  // namespace

// What passes between a Json and the library's value.
struct JsonParts {
    static Json of(const Parsed& parsed) {
        Json json;
        switch (parsed.type()) {
            case Parsed::value_t::boolean:
                json.kind_ = Json::Kind::boolean;
                json.natural_ = parsed.get<bool>() ? 1 : 0;
                break;
            case Parsed::value_t::number_unsigned:
                json.kind_ = Json::Kind::natural;
                json.natural_ = parsed.get<std::uint64_t>();
                break;
            case Parsed::value_t::number_integer:
                json.kind_ = Json::Kind::negative;
                json.natural_ = static_cast<std::uint64_t>(parsed.get<std::int64_t>());
                break;
            case Parsed::value_t::number_float:
                json.kind_ = Json::Kind::fraction;
                json.fraction_ = parsed.get<double>();
                break;
            case Parsed::value_t::string:
                json.kind_ = Json::Kind::text;
                json.text_ = parsed.get<std::string>();
                break;
            case Parsed::value_t::array:
                json.kind_ = Json::Kind::list;
                for (const Parsed& item : parsed) {
                    json.values_.push_back(of(item));
                }
                break;
            case Parsed::value_t::object:
                json.kind_ = Json::Kind::object;
                for (const auto& [key, item] : parsed.items()) {
                    json.keys_.push_back(key);
                    json.values_.push_back(of(item));
                }
                break;
            default:
                break;  // null; text has nothing else
        }
        return json;
    }

    static Parsed to(const Json& json) {
        switch (json.kind_) {
            case Json::Kind::boolean:
                return json.boolean();
            case Json::Kind::natural:
                return json.natural();
            case Json::Kind::negative:
                return json.whole();
            case Json::Kind::fraction:
                return json.fraction_;
            case Json::Kind::text:
                return json.text_;
            case Json::Kind::list: {
                Parsed list = Parsed::array();
                for (const Json& item : json) {
                    list.push_back(to(item));
                }
                return list;
            }
            case Json::Kind::object: {
                Parsed object = Parsed::object();
                for (std::size_t i = 0; i < json.size(); ++i) {
                    object[json.key(i)] = to(json[i]);
                }
                return object;
            }
            case Json::Kind::null:
                break;
        }
        return nullptr;
    }
};

bool Json::is_whole(std::int64_t low, std::int64_t high) const {
    if (kind_ == Kind::natural && natural_ > static_cast<std::uint64_t>(INT64_MAX)) {
        return false;
    }
    return (kind_ == Kind::natural || kind_ == Kind::negative) && whole() >= low && whole() <= high;
}

bool Json::is_list_of(const std::vector<const char*>& texts) const {
    return is_array() && std::equal(begin(), end(), texts.begin(), texts.end());
}

double Json::number() const {
    return is_number_float() ? fraction_ : is_natural() ? static_cast<double>(natural_) : static_cast<double>(whole());
}

bool Json::contains(std::string_view key) const {
    return std::binary_search(keys_.begin(), keys_.end(), key);
}

const Json& Json::operator[](std::string_view key) const {
    static const Json none;
    const auto found = std::lower_bound(keys_.begin(), keys_.end(), key);
    return found != keys_.end() && *found == key ? values_[found - keys_.begin()] : none;
}

std::string Json::dump() const {
    return JsonParts::to(*this).dump(-1, ' ', true, Parsed::error_handler_t::replace);
}

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
    std::string text = found.dump();
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
    const auto check = [&](int depth, Parsed::parse_event_t event, Parsed& value) {
        if (depth > kMaxDepth) {
            at.fail("expected at most " + std::to_string(kMaxDepth) + " levels of nesting, found more");
        }
        if (event == Parsed::parse_event_t::object_start) {
            keys.emplace_back();
        } else if (event == Parsed::parse_event_t::object_end) {
            keys.pop_back();
        } else if (event == Parsed::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
            at.fail("expected each key once, found a second one", JsonParts::of(value));
        }
        return true;
    };
    Parsed parsed;
    try {
        parsed = Parsed::parse(text, check);
    } catch (const Parsed::exception& error) {
        std::string reason = error.what();  // quotes the text up to the fault, which need not be UTF-8
        std::replace_if(
            reason.begin(), reason.end(), [](char c) { return static_cast<signed char>(c) < 0; }, '?');
        if (reason.size() > kMaxShown * 2) {
            reason = reason.substr(0, kMaxShown) + " ... " + reason.substr(reason.size() - kMaxShown);
        }
        at.fail("expected JSON, found something else (" + reason + ")");
    }
    Json value = JsonParts::of(parsed);
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
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (std::find(keys.begin(), keys.end(), value.key(i)) == keys.end()) {
            at.fail("expected the keys " + names + ", found also " + value.key(i));
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
        result.push_back(item.text());
    }
    return result;
}

}  // namespace adasgn
