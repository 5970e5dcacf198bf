/*
 * Lumino opens the menu of a menu bar where its title is, even if it does not fit there. The New menu of
 * the list of files is at the right edge: it would lose the end of each kernel's name, which says where
 * it runs.
 */

/** Move menus that would be cut off at the right edge of the window. */
export function keepMenusInside(): void {
  const observer = new MutationObserver(records => {
    for (const node of records.flatMap(({ addedNodes }) => [...addedNodes])) {
      if (node instanceof HTMLElement && node.classList.contains('lm-Menu')) {
        window.requestAnimationFrame(() => moveInside(node));
      }
    }
  });
  observer.observe(document.body, { childList: true });
}

function moveInside(menu: HTMLElement): void {
  menu.style.marginLeft = '';
  const room = document.documentElement.clientWidth - menu.getBoundingClientRect().right;
  menu.style.marginLeft = room < 0 ? `${room}px` : '';
}
