// Tabs: one panel of a group at a time; without this script all of them are there.
for (const group of document.querySelectorAll(".tabs")) {
  const panels = [...group.children];
  if (panels.length < 2) continue;
  const bar = document.createElement("div");
  bar.className = "tablist";
  const buttons = panels.map((panel) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = panel.dataset.tab;
    button.addEventListener("click", () => show(panel));
    return button;
  });
  const show = (chosen) =>
    panels.forEach((panel, index) => {
      panel.hidden = panel !== chosen;
      buttons[index].setAttribute("aria-pressed", String(panel === chosen));
    });
  bar.append(...buttons);
  group.prepend(bar);
  show(panels[0]);
}

// Players: those of one mixture share one position, which all its spectrograms show.
const players = [...document.querySelectorAll("audio")];

for (const card of document.querySelectorAll(".example")) {
  const sounds = [...card.querySelectorAll("audio")];
  let position = 0;
  const draw = (sound) => {
    position = sound.currentTime;
    const share = sound.duration ? position / sound.duration : 0;
    card.style.setProperty("--at", `${100 * share}%`);
    card.classList.toggle("started", position > 0);
    if (!sound.paused) requestAnimationFrame(() => draw(sound));
  };
  for (const sound of sounds) {
    sound.addEventListener("play", () => {
      for (const other of players) if (other !== sound) other.pause();
      const left = sound.duration - position;
      if (Math.abs(sound.currentTime - position) > 0.05 && !(left < 0.1)) sound.currentTime = position;
      draw(sound);
    });
    sound.addEventListener("seeked", () => draw(sound));
    sound.addEventListener("ended", () => (position = 0));
    const picture = sound.closest(".sound").querySelector(".spectrogram");
    picture.addEventListener("click", (event) => {
      const box = picture.getBoundingClientRect();
      const begin = () => {
        position = sound.duration * ((event.clientX - box.left) / box.width);
        sound.currentTime = position;
        sound.play();
      };
      if (sound.duration) begin();
      else {
        sound.addEventListener("loadedmetadata", begin, { once: true });
        sound.load();
      }
    });
  }
}

// Players say how long they are only once they are seen: a page may have hundreds.
for (const details of document.querySelectorAll("details.examples")) {
  const prepare = () => {
    if (details.open) for (const sound of details.querySelectorAll("audio")) sound.preload = "metadata";
  };
  details.addEventListener("toggle", prepare);
  prepare();
}
