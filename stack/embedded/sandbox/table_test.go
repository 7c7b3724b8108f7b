//go:build linux

package sandbox

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseStat_NamesWithParentheses(t *testing.T) {
	p, ok := parseStat(7, []byte("7 (a) Z 1 (b)) S 3 5 9 0 -1 4194560"))
	require.True(t, ok)
	require.Equal(t, proc{7, 3, 9, false}, p)
	p, ok = parseStat(8, []byte("8 (sh) Z 3 5 9 0"))
	require.True(t, ok)
	require.True(t, p.dead)
	for _, bad := range []string{"", "8", "8 (sh)", "8 (sh) S 3", "8 (sh) S x 5 9"} {
		_, ok = parseStat(8, []byte(bad))
		require.False(t, ok, bad)
	}
}

func TestWithDescendants(t *testing.T) {
	table := []proc{{1, 0, 1, false}, {4, 3, 4, false}, {2, 1, 2, false}, {3, 2, 2, false}, {9, 1, 9, false}}
	var pids []int
	for _, p := range withDescendants(table, func(p proc) bool { return p.session == 2 }) {
		pids = append(pids, p.pid)
	}
	require.ElementsMatch(t, []int{2, 3, 4}, pids)
}

func TestMergeEnv_LastValueStays(t *testing.T) {
	got := mergeEnv([]string{"A=1", "B=1", "A=2"}, [][]byte{[]byte("B=3"), []byte("C="), []byte("bare")})
	require.Equal(t, []string{"A=2", "B=3", "C=", "bare"}, got)
}

func TestPack_RoundTrip(t *testing.T) {
	for _, size := range []int{0, 100, maxPacket / 4 * 3, maxPacket, 1 << 20} {
		in := request{Op: opExec, Seq: 7, Argv: [][]byte{[]byte(strings.Repeat("\xff", size))}}
		body, extra, err := pack(in)
		require.NoError(t, err)
		require.LessOrEqual(t, len(body), maxPacket)
		var fds []int
		if extra != nil {
			fds = []int{dup(t, extra)}
			require.NoError(t, extra.Close())
		}
		var out request
		rest, err := unpack(body, fds, &out)
		require.NoError(t, err)
		require.Empty(t, rest)
		require.Equal(t, in, out)
	}
	_, _, err := pack(request{Argv: [][]byte{make([]byte, maxMessage)}})
	require.ErrorIs(t, err, errTooLong)
	for _, bad := range []string{"", "J", "J{", "M", "X{}"} {
		var out request
		_, err := unpack([]byte(bad), nil, &out)
		require.Error(t, err, bad)
	}
}

func dup(t *testing.T, f *os.File) int {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	require.NoError(t, err)
	return fd
}

func TestHostDir(t *testing.T) {
	in := &boxInit{mode: Plain, dir: "/boxes/1"}
	for dir, want := range map[string]string{
		"/root": "/boxes/1/root", "/workspace/a/../b": "/boxes/1/workspace/b", "/tmp": "/boxes/1/tmp",
		"/rooted": "/rooted", "/usr": "/usr", "/": "/", "relative": "/relative", "../root": "/boxes/1/root",
	} {
		require.Equal(t, want, in.hostDir(dir), dir)
	}
	in.mode = Namespaces
	require.Equal(t, "/root", in.hostDir("/root"))
}

func TestLeaderFirst(t *testing.T) {
	table := []proc{{pid: 2, session: 9}, {pid: 3, session: 3}, {pid: 9, session: 9}}
	leaderFirst(table, 9)
	require.Equal(t, 9, table[0].pid)
	require.ElementsMatch(t, []proc{{pid: 2, session: 9}, {pid: 3, session: 3}, {pid: 9, session: 9}}, table)
	leaderFirst(table, 4)
	require.Equal(t, 9, table[0].pid, "a leader that is gone moves nobody")
	leaderFirst(nil, 9)
}
