// Sounds: the files of one example play on one clock, so that they stay in step.
let clock;
const FADE_S = 0.01;
const LEAD_S = 0.05;

class Track {
  constructor(element) {
    this.element = element;
    this.sound = element.querySelector("audio");
    this.mute = element.querySelector(".mute");
    this.solo = element.querySelector(".solo");
  }

  async load() {
    if (this.buffer) return;
    const bytes = Uint8Array.from(atob(this.sound.src.split(",")[1]), (letter) => letter.charCodeAt(0));
    this.buffer = await clock.decodeAudioData(bytes.buffer);
    this.gain = new GainNode(clock, { gain: 0 });
    this.gain.connect(clock.destination);
  }

  start(when, position) {
    if (position >= this.buffer.duration) return;
    this.source = new AudioBufferSourceNode(clock, { buffer: this.buffer });
    this.source.connect(this.gain);
    this.source.start(when, position);
  }

  stop() {
    this.source?.stop();
    this.source = undefined;
  }
}

const pressed = (button) => button.getAttribute("aria-pressed") === "true";

class Transport {
  constructor(card) {
    this.card = card;
    this.seconds = Number(card.dataset.seconds);
    this.position = 0;
    this.playing = false;
    this.button = card.querySelector(".play");
    this.slider = card.querySelector(".seek");
    this.time = card.querySelector("output");
    this.tracks = [...card.querySelectorAll(".track")].filter((t) => t.querySelector("audio")).map((t) => new Track(t));
    this.button.addEventListener("click", () => (this.playing ? this.pause() : this.play()));
    this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
    for (const track of this.tracks)
      for (const button of [track.mute, track.solo])
        button.addEventListener("click", () => {
          button.setAttribute("aria-pressed", String(!pressed(button)));
          this.balance();
        });
    for (const picture of card.querySelectorAll(".spectrogram"))
      picture.addEventListener("click", (event) => {
        const box = picture.getBoundingClientRect();
        this.seek((this.seconds * (event.clientX - box.left)) / box.width);
        this.play();
      });
    this.balance();
  }

  // What is marked S plays alone; without such marks, all that is not marked M plays.
  balance() {
    const alone = this.tracks.some((track) => pressed(track.solo));
    for (const track of this.tracks) {
      const heard = alone ? pressed(track.solo) : !pressed(track.mute);
      track.element.classList.toggle("silent", !heard);
      track.gain?.gain.setTargetAtTime(heard ? 1 : 0, clock.currentTime, FADE_S);
    }
  }

  async play() {
    if (this.playing) return;
    for (const other of transports) other.pause();
    this.playing = true;
    this.card.classList.add("playing");
    this.button.textContent = "❚❚";
    this.button.setAttribute("aria-label", "Pause");
    clock ??= new AudioContext();
    await Promise.all([clock.resume(), ...this.tracks.map((track) => track.load())]);
    if (!this.playing) return;
    this.balance();
    this.start();
    this.draw();
  }

  start() {
    for (const track of this.tracks) track.stop();
    const when = clock.currentTime + LEAD_S;
    this.origin = when - this.position;
    for (const track of this.tracks) track.start(when, this.position);
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.card.classList.remove("playing");
    this.origin = undefined;
    for (const track of this.tracks) track.stop();
    this.button.textContent = "▶";
    this.button.setAttribute("aria-label", "Play");
    this.show();
  }

  seek(position) {
    this.position = Math.min(Math.max(position, 0), this.seconds);
    if (this.origin !== undefined) this.start();
    this.show();
  }

  draw() {
    if (!this.playing) return;
    this.position = Math.max(this.position, clock.currentTime - this.origin);
    if (this.position >= this.seconds) {
      this.position = 0;
      this.pause();
      return;
    }
    this.show();
    requestAnimationFrame(() => this.draw());
  }

  show() {
    this.card.style.setProperty("--at", `${(100 * this.position) / this.seconds}%`);
    this.card.classList.toggle("started", this.position > 0);
    this.slider.value = this.position;
    this.time.textContent = `${this.position.toFixed(1)} / ${this.seconds.toFixed(1)} s`;
  }
}

document.documentElement.classList.add("scripted");
const cards = [...document.querySelectorAll(".example")];
const transports = cards.filter((card) => card.querySelector(".transport")).map((card) => new Transport(card));

// Spectrograms: one of them, large, with its axes.
for (const card of cards) {
  const dialog = card.querySelector("dialog");
  for (const button of card.querySelectorAll(".enlarge"))
    button.addEventListener("click", () => {
      const track = button.closest(".track");
      dialog.querySelector("img").src = track.querySelector("img").src;
      dialog.querySelector("b").textContent = track.querySelector(".title b").textContent;
      dialog.showModal();
    });
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}
