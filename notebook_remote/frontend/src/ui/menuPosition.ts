/*
 * Keeps menus inside the window. Lumino opens the menu of a menu bar below its title even if it does not
 * fit there. The New menu of the list of files is at the right edge, which would cut off the end of each
 * kernel's name: the backend.
 */

/** Move menus to the left that would be cut off at the right edge of the window. */
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
  const space = document.documentElement.clientWidth - menu.getBoundingClientRect().right;
  menu.style.marginLeft = space < 0 ? `${space}px` : '';
}
