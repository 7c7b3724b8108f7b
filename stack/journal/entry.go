package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// The journal fields that make an Entry.
const (
	fieldMessage    = "MESSAGE"
	fieldMessageID  = "MESSAGE_ID"
	fieldPriority   = "PRIORITY"
	fieldIdentifier = "SYSLOG_IDENTIFIER"
	fieldPID        = "_PID"
	fieldTime       = "__REALTIME_TIMESTAMP" // microseconds since 1970
)

// defaultPriority is that of an entry without PRIORITY.
const defaultPriority = 6

// jsonEntry is an entry as journalctl -o json prints it. Our own files use the same form, so that
// a journal exported with journalctl can be read in place of one.
type jsonEntry struct {
	Time       string `json:"__REALTIME_TIMESTAMP"`
	Cursor     string `json:"__CURSOR"`
	Message    text   `json:"MESSAGE"`
	MessageID  text   `json:"MESSAGE_ID"`
	Priority   text   `json:"PRIORITY"`
	Identifier text   `json:"SYSLOG_IDENTIFIER"`
	PID        text   `json:"_PID"`
}

// parseEntry reads one line of journalctl -o json.
func parseEntry(line []byte) (Entry, error) {
	var j jsonEntry
	if err := json.Unmarshal(line, &j); err != nil {
		return Entry{}, fmt.Errorf("parse entry: %w", err)
	}
	us, err := strconv.ParseInt(j.Time, 10, 64)
	if err != nil {
		return Entry{}, fmt.Errorf("parse entry: bad %s %q", fieldTime, j.Time)
	}
	return Entry{
		Time:       time.UnixMicro(us).UTC(),
		Cursor:     j.Cursor,
		Identifier: string(j.Identifier),
		PID:        atoi(string(j.PID), 0),
		Priority:   atoi(string(j.Priority), defaultPriority),
		Message:    string(j.Message),
		MessageID:  string(j.MessageID),
	}, nil
}

// atoi is lenient because these fields are whatever a sender on the machine wrote into them.
func atoi(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 {
		return n
	}
	return otherwise
}

// text is a field's value: a string, an array of byte values where it is not printable UTF-8, or
// an array of those where the entry has the field more than once. Of several values the first
// counts, as in libsystemd.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	if len(data) == 0 || data[0] != '[' {
		return json.Unmarshal(data, (*string)(t)) // null leaves ""
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) == 0 {
		*t = ""
		return nil
	}
	if c := parts[0][0]; c == '"' || c == '[' || c == 'n' {
		return t.UnmarshalJSON(parts[0])
	}
	var octets []uint16 // a []uint8 would be read as base64
	if err := json.Unmarshal(data, &octets); err != nil {
		return err
	}
	raw := make([]byte, len(octets))
	for i, n := range octets {
		if n > 255 {
			return errors.New("byte value out of range")
		}
		raw[i] = byte(n)
	}
	*t = text(raw)
	return nil
}

// formatEntry makes one line, with its line feed, that parseEntry reads back.
func formatEntry(at time.Time, pid, prio int, identifier, message string, fields map[string]string) ([]byte, error) {
	entry := make(map[string]any, len(fields)+5)
	for k, v := range fields {
		entry[k] = jsonText(v)
	}
	entry[fieldTime] = strconv.FormatInt(at.UnixMicro(), 10)
	entry[fieldPID] = strconv.Itoa(pid)
	entry[fieldPriority] = strconv.Itoa(prio)
	entry[fieldIdentifier] = jsonText(identifier)
	entry[fieldMessage] = jsonText(message)
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(entry); err != nil {
		return nil, fmt.Errorf("format entry: %w", err)
	}
	return buf.Bytes(), nil
}

// jsonText keeps bytes that a JSON string cannot hold.
func jsonText(s string) any {
	if utf8.ValidString(s) {
		return s
	}
	octets := make([]uint16, len(s))
	for i := range len(s) {
		octets[i] = uint16(s[i])
	}
	return octets
}
