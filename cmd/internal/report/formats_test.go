package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chaos/cmd/internal/report"
	"chaos/model"
)

// found are two findings with everything that could break a format in them.
func found() []report.Found {
	h := &model.History{Meta: model.Meta{Token: "run-1", Began: time.Unix(1_700_000_000, 0).UTC()}, Calls: []model.Call{
		{Client: "a", Op: model.OpCreate, Invoke: 1e6, Return: 3e6, Status: 201, Body: `{"box_id":"x"}`},
		{ID: 1, Client: "a", Op: model.OpExec, BoxID: "x", Invoke: 4e6, Return: 5e6, Status: 500, Body: "<&\"]]>"},
		{ID: 2, Client: "a", Op: model.OpAttach, BoxID: "x", ExecID: "e"},
		{ID: 3, Op: model.OpProbe, Route: "metrics", BoxID: "x", Error: "gone"},
	}}
	return []report.Found{
		{Signature: "typed-errors · exec · stopped · 500", Invariant: "typed-errors", Promise: "A, promise: 100 % <kept>", Source: "#684", Message: "line one\nline ``` two \x01 ]]>", Plan: "a: b1 = create\n", Replay: "chaos replay x", History: h},
		{Signature: "typed-errors · stop · changing · 500", Invariant: "typed-errors", Message: "m", Plan: "p\n", History: h},
	}
}

// TestJUnit_IsReadBackByAStrictReader: no element or attribute is lost, and the counts are right.
func TestJUnit_IsReadBackByAStrictReader(t *testing.T) {
	cases := report.JUnitPromises([]string{"access", "typed-errors"}, found(), "")
	var b bytes.Buffer
	require.NoError(t, report.JUnit(&b, "run", 1500*time.Millisecond, cases))
	allowed := map[string][]string{"testsuites": {}, "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"}, "testcase": {"classname", "name"}, "failure": {"message", "type"}}
	count := map[string]int{}
	for d := xml.NewDecoder(bytes.NewReader(b.Bytes())); ; {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		if el, ok := tok.(xml.StartElement); ok {
			attrs, known := allowed[el.Name.Local]
			require.True(t, known, el.Name.Local)
			require.Len(t, el.Attr, len(attrs))
			for i, a := range el.Attr {
				require.Equal(t, attrs[i], a.Name.Local)
			}
			count[el.Name.Local]++
		}
	}
	require.Equal(t, map[string]int{"testsuites": 1, "testsuite": 1, "testcase": 2, "failure": 2}, count)
	var back report.JUnitSuites
	require.NoError(t, xml.Unmarshal(b.Bytes(), &back))
	s := back.Suites[0]
	require.Equal(t, []int{2, 1, 0, 0}, []int{s.Tests, s.Failures, s.Errors, s.Skipped})
	require.Equal(t, "1.500", s.Time)
	require.Empty(t, s.Cases[0].Failures)
	require.Contains(t, s.Cases[1].Failures[0].Text, "line one\nline ``` two")
}

func TestJUnit_WhatWasNotProvenIsSkippedNotPassed(t *testing.T) {
	for _, c := range report.JUnitPromises([]string{"access"}, nil, "too little was done") {
		require.Equal(t, "too little was done", c.Skipped.Message)
	}
	require.Nil(t, report.JUnitPromises([]string{"access"}, nil, "")[0].Skipped)
}

func TestNDJSON_IsOneObjectALine(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, report.NDJSON(&b, found()))
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	require.Len(t, lines, 2)
	for i, line := range lines {
		var back report.Found
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&back))
		back.History = found()[i].History
		require.Equal(t, found()[i], back)
	}
}

// strictHAR has the members that version 1.2 asks for; pointers tell what is missing.
type strictHAR struct {
	Log *struct {
		Version *string                          `json:"version"`
		Creator *struct{ Name, Version *string } `json:"creator"`
		Pages   []struct {
			Started *time.Time `json:"startedDateTime"`
			ID      *string    `json:"id"`
			Title   *string    `json:"title"`
			Timings *struct{}  `json:"pageTimings"`
		} `json:"pages"`
		Entries []struct {
			Page    *string    `json:"pageref"`
			Started *time.Time `json:"startedDateTime"`
			Time    *float64   `json:"time"`
			Request *struct {
				Method, URL, HTTPVersion *string
				Cookies, Headers         *[]struct{ Name, Value string }
				QueryString              *[]struct{ Name, Value string }
				HeadersSize, BodySize    *int
			} `json:"request"`
			Response *struct {
				Status                               *int
				StatusText, HTTPVersion, RedirectURL *string
				Cookies, Headers                     *[]struct{ Name, Value string }
				Content                              *struct {
					Size           *int
					MimeType, Text *string
				}
				HeadersSize, BodySize *int
			} `json:"response"`
			Cache   *struct{}                               `json:"cache"`
			Timings *struct{ Send, Wait, Receive *float64 } `json:"timings"`
			Comment string                                  `json:"comment"`
		} `json:"entries"`
	} `json:"log"`
}

func TestHAR_HasTheMembersOfVersion12(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, report.WriteHAR(&b, found(), "http://127.0.0.1:1/api/", "v1"))
	d := json.NewDecoder(&b)
	d.DisallowUnknownFields()
	var h strictHAR
	require.NoError(t, d.Decode(&h))
	require.Equal(t, "1.2", *h.Log.Version)
	require.Len(t, h.Log.Pages, 1, "one history, however many findings it shows")
	require.Len(t, h.Log.Entries, 3, "an attach session is no REST call")
	for _, e := range h.Log.Entries {
		require.Equal(t, *h.Log.Pages[0].ID, *e.Page)
		require.NotNil(t, e.Request.Cookies)
		require.NotNil(t, e.Request.Headers)
		require.NotNil(t, e.Request.QueryString)
		require.NotNil(t, e.Response.Content.MimeType)
		require.NotNil(t, e.Cache)
		require.InDelta(t, *e.Time, *e.Timings.Send+*e.Timings.Wait+*e.Timings.Receive, 1e-9)
	}
	exec := h.Log.Entries[1]
	require.Equal(t, "POST http://127.0.0.1:1/api/v1/boxes/x/exec", *exec.Request.Method+" "+*exec.Request.URL)
	require.Equal(t, 500, *exec.Response.Status)
	require.Equal(t, "<&\"]]>", *exec.Response.Content.Text)
	require.Equal(t, "GET http://127.0.0.1:1/api/v1/boxes/x/metrics", *h.Log.Entries[2].Request.Method+" "+*h.Log.Entries[2].Request.URL)
}

func TestGitHub_AnAnnotationIsOneLine(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, report.GitHub(&b, found()))
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	require.Len(t, lines, 2)
	require.True(t, strings.HasPrefix(lines[0], "::error title=chaos%3A typed-errors · exec · stopped · 500::promised%3A") ||
		strings.HasPrefix(lines[0], "::error title=chaos%3A typed-errors · exec · stopped · 500::promised: A, promise: 100 %25 <kept>"), lines[0])
	require.Contains(t, lines[0], "line one%0Aline")
}

func TestMarkdown_TextCannotLeaveItsBlock(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, report.Markdown(&b, "head", "2 findings", found()))
	require.Contains(t, b.String(), "\n````\nseen     line one line ``` two")
	require.Contains(t, b.String(), "### 2. typed-errors · stop · changing · 500")
}
