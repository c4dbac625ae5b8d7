#include "adasgn/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

namespace adasgn {

namespace {

constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxShown = 80;
constexpr std::size_t kMaxMessage = 1000;

using Library = nlohmann::json;

}  // namespace

// Takes what the library's parser finds, one thing after another. The library's own values are not made of it: where
// memory runs out, their destructors end the process.
struct JsonParts {
    explicit JsonParts(const JsonContext& place) : at(place) {}

    const JsonContext& at;
    Json root;
    std::vector<Json> open;  // lists and objects that have begun, the outermost first

    bool null() { return put({}); }
    bool boolean(bool value) { return put(number(Json::Kind::boolean, value ? 1 : 0)); }
    bool number_integer(std::int64_t value) {
        return put(number(Json::Kind::negative, static_cast<std::uint64_t>(value)));
    }
    bool number_unsigned(std::uint64_t value) { return put(number(Json::Kind::natural, value)); }
    bool number_float(double value, const std::string&) {
        Json json = number(Json::Kind::fraction, 0);
        json.fraction_ = value;
        return put(std::move(json));
    }
    bool string(std::string& value) { return put(string_of(std::move(value))); }
    bool binary(const Library::binary_t&) { return false; }  // text has none

    bool start_array(std::size_t) { return begin(Json::Kind::list); }
    bool start_object(std::size_t) { return begin(Json::Kind::object); }
    bool key(std::string& name) {
        open.back().keys_.push_back(std::move(name));
        return true;
    }
    bool end_array() { return end(); }
    bool end_object() {
        sort_keys(open.back());
        return end();
    }

    bool parse_error(std::size_t, const std::string&, const Library::exception& error) {
        std::string reason = error.what();  // quotes the text up to the fault, which need not be UTF-8
        std::replace_if(
            reason.begin(), reason.end(), [](char c) { return static_cast<signed char>(c) < 0; }, '?');
        if (reason.size() > kMaxShown * 2) {
            reason = reason.substr(0, kMaxShown) + " ... " + reason.substr(reason.size() - kMaxShown);
        }
        at.fail("expected JSON, found something else (" + reason + ")");
    }

    static std::string dump(const Json& json) {
        const auto leaf = [](const Library& value) {
            return value.dump(-1, ' ', true, Library::error_handler_t::replace);
        };
        std::string text;
        switch (json.kind_) {
            case Json::Kind::boolean:
                return leaf(json.boolean());
            case Json::Kind::natural:
                return leaf(json.natural());
            case Json::Kind::negative:
                return leaf(json.whole());
            case Json::Kind::fraction:
                return leaf(json.fraction_);
            case Json::Kind::text:
                return leaf(json.text_);
            case Json::Kind::list:
                for (const Json& item : json) {
                    text += (text.empty() ? "" : ",") + dump(item);
                }
                return "[" + text + "]";
            case Json::Kind::object:
                for (std::size_t i = 0; i < json.size(); ++i) {
                    text += (text.empty() ? "" : ",") + leaf(json.key(i)) + ":" + dump(json[i]);
                }
                return "{" + text + "}";
            case Json::Kind::null:
                break;
        }
        return "null";
    }

  private:
    static Json number(Json::Kind kind, std::uint64_t value) {
        Json json;
        json.kind_ = kind;
        json.natural_ = value;
        return json;
    }

    bool put(Json&& value) {
        expect_depth();
        (open.empty() ? root : open.back().values_.emplace_back()) = std::move(value);
        return true;
    }

    bool begin(Json::Kind kind) {
        expect_depth();
        open.push_back(number(kind, 0));
        return true;
    }

    bool end() {
        Json done = std::move(open.back());
        open.pop_back();
        return put(std::move(done));
    }

    void expect_depth() const {
        if (open.size() > kMaxDepth) {
            at.fail("expected at most " + std::to_string(kMaxDepth) + " levels of nesting, found more");
        }
    }

    void sort_keys(Json& object) const {
        std::vector<std::size_t> order(object.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::sort(order.begin(), order.end(),
                  [&](std::size_t a, std::size_t b) { return object.keys_[a] < object.keys_[b]; });
        Json sorted = number(Json::Kind::object, 0);
        for (const std::size_t place : order) {
            if (!sorted.keys_.empty() && sorted.keys_.back() == object.keys_[place]) {
                at.fail("expected each key once, found a second one", string_of(object.keys_[place]));
            }
            sorted.keys_.push_back(std::move(object.keys_[place]));
            sorted.values_.push_back(std::move(object.values_[place]));
        }
        object = std::move(sorted);
    }

    static Json string_of(std::string text) {
        Json json = number(Json::Kind::text, 0);
        json.text_ = std::move(text);
        return json;
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
    return JsonParts::dump(*this);
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
    JsonParts parts(at);
    Library::sax_parse(text, &parts);
    Json value = std::move(parts.root);
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
