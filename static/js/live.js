// A live connection: it comes back by itself, resumes after the last event it saw, and says when it is not current.

const FIRST_PAUSE = 400;
const LONGEST_PAUSE = 15000;
const STALE_AFTER = 2500;
// Close codes of the server: all was said; who is logged in changed; not allowed; nothing there.
const DONE = 1000;
const FINAL = new Set([4401, 4403, 4404]);

function address(path, after) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  if (after !== null) url.searchParams.set("after", String(after));
  return url;
}

export class Live {
  // `after` is the number of the last event that is known, null for a feed without numbers.
  constructor(path, { after = null, onMessage, onDone = () => {} }) {
    this.path = path;
    this.after = after;
    this.onMessage = onMessage;
    this.onDone = onDone;
    this.pause = FIRST_PAUSE;
    this.isOver = false;
    this.banner = document.querySelector("[data-stale]");
    this.staleTimer = 0;
    this.connect();
    // A laptop that wakes up, a network that comes back: at once, not after the pause.
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.hurry(); });
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  }

  connect() {
    clearTimeout(this.retryTimer);
    this.socket = new WebSocket(address(this.path, this.after));
    this.socket.addEventListener("open", () => {
      this.showStale(false);
    });
    this.socket.addEventListener("message", (event) => this.receive(JSON.parse(event.data)));
    this.socket.addEventListener("close", (event) => this.closed(event.code));
  }

  receive(message) {
    // Not when it opens: a server whose database is away takes the connection only to say "later".
    this.pause = FIRST_PAUSE;
    if (message.type === "event") {
      if (message.number <= this.after) return;
      this.after = message.number;
    }
    this.onMessage(message);
  }

  closed(code) {
    if (this.isOver) return;
    if (code === DONE && this.after !== null) {
      this.isOver = true;
      this.onDone();
      return;
    }
    if (code === 4401) {
      location.reload();
      return;
    }
    this.showStale(true);
    if (FINAL.has(code)) {
      this.isOver = true;
      return;
    }
    const wait = this.pause * (0.75 + Math.random() / 2);
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
    this.retryTimer = setTimeout(() => this.connect(), wait);
  }

  hurry() {
    if (this.isOver || this.socket.readyState !== WebSocket.CLOSED) return;
    this.pause = FIRST_PAUSE;
    this.connect();
  }

  close() {
    this.isOver = true;
    clearTimeout(this.retryTimer);
    clearTimeout(this.staleTimer);
    this.socket.close();
  }

  // Go on with a feed that had come to its end: the run was started again.
  resume() {
    if (!this.isOver) return;
    this.isOver = false;
    this.connect();
  }

  showStale(isStale) {
    if (!this.banner) return;
    if (!isStale) {
      clearTimeout(this.staleTimer);
      this.staleTimer = 0;
      this.banner.hidden = true;
    } else if (!this.staleTimer) {
      // A short gap is healed by the numbers; only a long one is worth a word.
      this.staleTimer = setTimeout(() => { this.banner.hidden = false; }, STALE_AFTER);
    }
  }
}
