package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"chaos/stack/embedded/bugs"
)

// maxBody bounds the JSON bodies that the API itself reads.
const maxBody = 1 << 20

// Sizes a box may have, and those it has when the caller does not say.
const (
	maxCPUs, defaultCPUs                        = 32, 1
	minMemoryMiB, maxMemoryMiB, defaultMemoryMB = 256, 65_536, 1024
	minDiskGB, maxDiskGB, defaultDiskGB         = 1, 512, 10
	minAutoStop, defaultAutoStop                = 60, 900
	maxName                                     = 128
	defaultImage                                = "alpine:latest"
)

var (
	nameRule = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]*$`)
	// images the runner can make a box of. All of them get the same root file system: the host's.
	images = []string{"alpine", "busybox", "debian", "node", "python", "ubuntu"}
)

// spec is a valid create request: what the caller wants, with the defaults filled in.
type spec struct {
	Name       string
	Image      string
	CPUs       int
	MemoryMiB  int
	DiskSizeGB int
	WorkingDir string
	Env        map[string]string
	AutoStop   int  // seconds without activity; 0 = never
	AutoDelete int  // seconds after a stop; 0 = never
	AutoResume bool // an exec starts the box when it is stopped
}

// createRequest is the body of a create. A pointer tells a missing field from an empty one.
type createRequest struct {
	Name       *string           `json:"name"`
	Image      *string           `json:"image"`
	CPUs       *int              `json:"cpus"`
	MemoryMiB  *int              `json:"memory_mib"`
	DiskSizeGB *int              `json:"disk_size_gb"`
	WorkingDir string            `json:"working_dir"`
	Env        map[string]string `json:"env"`
	AutoStop   *int              `json:"auto_stop"`
	AutoDelete *int              `json:"auto_delete"`
	AutoResume *bool             `json:"auto_resume"` // without effect where no exec starts a stopped box
	TTY        *bool             `json:"tty"`         // of the main command, which these boxes do not have
	Detach     *bool             `json:"detach"`      // boxes always outlive their creator here
	Network    *map[string]any   `json:"network"`     // accepted and without effect

	// What these boxes cannot do is refused rather than dropped in silence.
	RootfsPath *string         `json:"rootfs_path"`
	Entrypoint []string        `json:"entrypoint"`
	Cmd        []string        `json:"cmd"`
	User       *string         `json:"user"`
	Volumes    []any           `json:"volumes"`
	Secrets    []any           `json:"secrets"`
	Advanced   *map[string]any `json:"advanced"`
	DiskIO     *map[string]any `json:"disk_io"`
}

// readJSON decodes the one JSON object in the body of r into v. Unknown fields are refused; no body
// at all is the empty object.
func readJSON(r *http.Request, v any) error {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return invalid("the request body could not be read")
	}
	if len(data) > maxBody {
		return invalid("the request body is larger than %d bytes", maxBody)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return badJSON(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return invalid("the request body holds more than one JSON value")
	}
	return nil
}

// badJSON says in the caller's words what was wrong with a body.
func badJSON(err error) error {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return invalid("%s must not be a %s", wrong.Field, wrong.Value)
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		return invalid("property %s should not exist", strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`))
	}
	return invalid("the request body is not a valid JSON object")
}

// check turns a request into a spec, without looking at the image.
func (q createRequest) check(set bugs.Set) (spec, error) {
	sp := spec{Image: defaultImage, WorkingDir: q.WorkingDir, Env: q.Env, AutoStop: defaultAutoStop}
	if q.Name != nil && !(*q.Name == "" && set.Has(bugs.BlankName)) {
		if sp.Name = *q.Name; len(sp.Name) > maxName || !nameRule.MatchString(sp.Name) {
			return spec{}, invalid("name must be 1 to %d letters, digits, dots, dashes or underscores and begin with a letter or digit", maxName)
		}
	}
	if q.Image != nil {
		sp.Image = *q.Image
	}
	sizes := []struct {
		name          string
		from          *int
		to            *int
		min, max, def int
	}{
		{"cpus", q.CPUs, &sp.CPUs, 1, maxCPUs, defaultCPUs},
		{"memory_mib", q.MemoryMiB, &sp.MemoryMiB, minMemoryMiB, maxMemoryMiB, defaultMemoryMB},
		{"disk_size_gb", q.DiskSizeGB, &sp.DiskSizeGB, minDiskGB, maxDiskGB, defaultDiskGB},
	}
	for _, z := range sizes {
		*z.to = z.def
		switch {
		case z.from == nil:
		case *z.from >= z.min && *z.from <= z.max:
			*z.to = *z.from
		case set.Has(bugs.SizeCoerced): // keeps the default
		default:
			return spec{}, invalid("%s must be from %d to %d", z.name, z.min, z.max)
		}
	}
	if q.AutoStop != nil {
		if sp.AutoStop = *q.AutoStop; sp.AutoStop != 0 && sp.AutoStop < minAutoStop {
			return spec{}, invalid("auto_stop must be 0 or at least %d seconds", minAutoStop)
		}
	}
	if q.AutoDelete != nil {
		if sp.AutoDelete = *q.AutoDelete; sp.AutoDelete < 0 {
			return spec{}, invalid("auto_delete must not be negative")
		}
	}
	return sp, q.checkUnsupported()
}

func (q createRequest) checkUnsupported() error {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"rootfs_path", q.RootfsPath != nil && *q.RootfsPath != ""},
		{"entrypoint", len(q.Entrypoint) > 0},
		{"cmd", len(q.Cmd) > 0},
		{"user", q.User != nil && *q.User != ""},
		{"volumes", len(q.Volumes) > 0},
		{"secrets", len(q.Secrets) > 0},
		{"advanced", q.Advanced != nil && len(*q.Advanced) > 0},
		{"disk_io", q.DiskIO != nil && len(*q.DiskIO) > 0},
	} {
		if f.set {
			return unsupported("%s is not supported by this stack", f.name)
		}
	}
	return nil
}

// checkImage refuses an image that no box can be made of.
func checkImage(ref string) error {
	repo, tag, tagged := strings.Cut(ref, ":")
	if !slices.Contains(images, repo) || tagged && tag == "" {
		return invalid("Image %q not found: no snapshot or image of that name is available", ref)
	}
	return nil
}
